"""Server-sent events from bytes, however the network cut them.

The reader takes chunks as they come and returns the `data` of each event that is complete. It
keeps what a chunk left unfinished, looks at every byte once, and never holds more than one
event's worth: a line or an event larger than `MAX_EVENT` is refused, so a token of 5 MB costs
1 MiB of memory and no more.

Taken from https://html.spec.whatwg.org/multipage/server-sent-events.html: lines end in LF, CRLF
or CR; a byte order mark at the start is skipped; several `data` lines are joined by LF; comments
and other fields are skipped. Two departures, both because of what real servers do: a last event
without its empty line counts (`finish`), and a line that is no field at all is refused, since
an HTML page or a binary file would otherwise look like a silent model.
"""

import re
from typing import Final

MAX_EVENT: Final = 1 << 20
"""Bytes of one event. The longest reply that is kept fits into a fraction of it."""

_BOM: Final = b"\xef\xbb\xbf"
_FIELD: Final = re.compile(rb"[A-Za-z][A-Za-z0-9_-]*(?::|\Z)")


class NotAnEventStream(ValueError):
    """The bytes are not server-sent events, or one of them is larger than `MAX_EVENT`.

    `events` are those that the same bytes completed before.
    """

    def __init__(self, message: str, events: list[bytes]) -> None:
        super().__init__(message)
        self.events = events


class SseReader:
    """Turns chunks of bytes into the `data` of complete events, in order."""

    __slots__ = ("_at_start", "_data", "_pending", "_searched", "_size", "_skip_lf")

    def __init__(self) -> None:
        self._pending = bytearray()
        self._searched = 0
        self._data: list[bytes] = []
        self._size = 0
        self._at_start = True
        self._skip_lf = False

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
                    events.append(data[0] if len(data) == 1 else b"\n".join(data))
                    data.clear()
                    self._size = 0
            elif line.startswith(b"data:"):
                self._size += len(line)
                _refuse_if_larger(self._size, events)
                data.append(line[6:] if line[5:6] == b" " else line[5:])
            elif line == b"data":
                data.append(b"")
            elif line[0] != 0x3A and not _FIELD.match(line):
                raise NotAnEventStream("a line is no field of an event", events)
        return events


def _refuse_if_larger(size: int, events: list[bytes]) -> None:
    if size > MAX_EVENT:
        raise NotAnEventStream("an event is larger than is taken", events)
