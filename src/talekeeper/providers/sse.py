"""Server-sent events from bytes, however the network cut them.

The reader takes chunks as they come and returns the `data` of each event that is complete. It
keeps what a chunk left unfinished, looks at every byte once, and never holds more than one
event's worth: a line or an event larger than `MAX_EVENT` is refused, so an endless event costs
4 MiB of memory and no more.

Taken from https://html.spec.whatwg.org/multipage/server-sent-events.html: lines end in LF, CRLF
or CR; a byte order mark at the start is skipped; several `data` lines are joined by LF; comments
and other fields are skipped. Four departures, all because of what real servers do:

- A last event without its empty line counts (`finish`).
- A `data` line that is a JSON document by itself is an event of its own when another `data` line
  follows it directly: some servers write no empty lines. Once that was seen, every such line is
  an event as soon as it is complete.
- A line of blanks is skipped: some servers send it to keep the connection alive.
- Any other line that is no field is refused, since an HTML page or a binary file would otherwise
  look like a silent model.
"""

import re
from typing import Final

import msgspec

MAX_EVENT: Final = 4 << 20
"""Bytes of one event: a whole reply of a million characters fits, a stream without an end does
not."""

_BOM: Final = b"\xef\xbb\xbf"
_FIELD: Final = re.compile(rb"[A-Za-z][A-Za-z0-9_-]*(?::|\Z)")


class NotAnEventStream(ValueError):
    """The bytes are not server-sent events that are taken.

    `events` are those that the same bytes completed before.
    """

    def __init__(self, message: str, events: list[bytes]) -> None:
        super().__init__(message)
        self.events = events


class EventTooLarge(NotAnEventStream):
    """An event is larger than `MAX_EVENT`."""


class SseReader:
    """Turns chunks of bytes into the `data` of complete events, in order."""

    __slots__ = (
        "_at_start",
        "_data",
        "_has_single_line_ends",
        "_pending",
        "_searched",
        "_size",
        "_skip_lf",
    )

    def __init__(self) -> None:
        self._pending = bytearray()
        self._searched = 0
        self._data: list[bytes] = []
        self._size = 0
        self._at_start = True
        self._skip_lf = False
        self._has_single_line_ends = False

    def feed(self, chunk: bytes) -> list[bytes]:
        """The events that `chunk` completes. Raises NotAnEventStream."""
        pending = self._pending
        if self._skip_lf and chunk:
            self._skip_lf = False
            if chunk[0] == 0x0A:
                chunk = chunk[1:]
        pending += chunk
        if self._at_start and not self._past_mark():
            return []
        end = max(pending.rfind(b"\n", self._searched), pending.rfind(b"\r", self._searched)) + 1
        if end == 0:
            self._searched = len(pending)
            _refuse_if_larger(self._size + len(pending), [])
            return []
        # A CR at the very end may be half of a CRLF: the LF that follows must not end a line too.
        self._skip_lf = end == len(pending) and pending[-1] == 0x0D
        lines = bytes(pending[:end]).splitlines()
        del pending[:end]
        self._searched = len(pending)
        events = self._events(lines)
        _refuse_if_larger(len(pending), events)
        return events

    def finish(self) -> list[bytes]:
        """What stands unfinished when the connection ends, as an event of its own."""
        lines = bytes(self._pending).splitlines()
        self._pending.clear()
        self._searched = 0
        return self._events([*lines, b""])

    def _past_mark(self) -> bool:
        """Whether the start is behind us; false while the first bytes may yet be a mark."""
        pending = self._pending
        if len(pending) < len(_BOM) and _BOM.startswith(pending):
            return False
        if pending.startswith(_BOM):
            del pending[: len(_BOM)]
        self._at_start = False
        return True

    def _events(self, lines: list[bytes]) -> list[bytes]:
        events: list[bytes] = []
        data = self._data
        for line in lines:
            if not line:
                if data:
                    self._end_event(events)
            elif line.startswith(b"data:"):
                self._add_data(line, events)
            elif line == b"data":
                data.append(b"")
            elif line[0] != 0x3A and not _FIELD.match(line):
                line = line.strip()  # noqa: PLW2901 - some servers indent their lines
                if line.startswith(b"data:"):
                    self._add_data(line, events)
                elif line:
                    raise NotAnEventStream("a line is no field of an event", events)
        return events

    def _add_data(self, line: bytes, events: list[bytes]) -> None:
        data = self._data
        if len(data) == 1 and _is_document(data[0]):
            self._has_single_line_ends = True
            self._end_event(events)
        self._size += len(line)
        _refuse_if_larger(self._size, events)
        data.append(line[6:] if line[5:6] == b" " else line[5:])
        if self._has_single_line_ends and len(data) == 1 and _is_document(data[0]):
            self._end_event(events)

    def _end_event(self, events: list[bytes]) -> None:
        data = self._data
        events.append(data[0] if len(data) == 1 else b"\n".join(data))
        data.clear()
        self._size = 0


def _is_document(line: bytes) -> bool:
    """Whether a `data` line is a whole JSON object, or the OpenAI wire's last word."""
    if line.rstrip() == b"[DONE]":
        return True
    if not (line.startswith(b"{") and line.rstrip().endswith(b"}")):
        return False
    try:
        msgspec.json.decode(line, type=msgspec.Raw)
    except msgspec.DecodeError:
        return False
    return True


def _refuse_if_larger(size: int, events: list[bytes]) -> None:
    if size > MAX_EVENT:
        raise EventTooLarge("an event is larger than is taken", events)
