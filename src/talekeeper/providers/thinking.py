"""Models that think aloud inside their text: what is thinking, and what is the reply.

    <think>…</think>reply           and the other pairs in `_PAIRS`
    <|channel|>analysis<|message|>…<|end|><|start|>assistant<|channel|>final<|message|>reply
    …</think>reply                  the opening mark stood in the prompt, where nothing tells of it

With an opening mark nothing is in doubt: only blocks at the very start are thinking, and later the
same letters are text, as a game master may well talk about them. What could still become a mark is
held back until it is clear, at most `_LONGEST_HEADER` characters.

Without an opening mark the thinking looks like a reply until its closing mark comes. It is handed
out as text, since holding it would hold every ordinary reply as well, and taken back (`TakenBack`)
once the first word after the mark is there. A mark in code, in quotation marks or within a sentence
takes nothing back, and neither does one with nothing behind it. `is_unmarked` tells that a model
thinks so: its next reply `begins_in_thought`, and is held from its first character to the mark.
"""

import re
from typing import Final, Literal

from talekeeper.domain.replies import ReasoningDelta, TakenBack, TextDelta

Part = TextDelta | ReasoningDelta | TakenBack

_PAIRS: Final = {
    "<think>": "</think>",
    "<thinking>": "</thinking>",
    "<thought>": "</thought>",
    "<reasoning>": "</reasoning>",
    "<seed:think>": "</seed:think>",
    "[think]": "[/think]",
}
"""Opening and closing marks in small letters; models write them in either."""
_OPENING: Final = re.compile("|".join(map(re.escape, _PAIRS)), re.IGNORECASE)
_CLOSING: Final = re.compile("|".join(map(re.escape, _PAIRS.values())), re.IGNORECASE)
_LONGEST_CLOSING: Final = max(map(len, _PAIRS.values()))
_HEADER: Final = re.compile(
    r"(?:<\|start\|>\w+)?<\|channel\|>\s*(\w+)[^<]*(?:<\|constrain\|>[^<]*)?<\|message\|>"
)
_HEADER_STARTS: Final = ("<|start|>", "<|channel|>")
_LONGEST_HEADER: Final = 200
_CHANNEL_ENDS: Final = ("<|end|>", "<|return|>", "<|call|>", "<|start|>", "<|channel|>")
_CHANNEL_END: Final = re.compile(r"<\|(?:end|return|call)\|>|(?=<\|(?:start|channel)\|>)")
_LOOKS: Final = 8
"""Closing marks that are looked at in one reply: each look reads all that was said."""
_SENTENCE_END: Final = '.!?…。!?:)]*"”’»」'
_QUOTES: Final = tuple("\"'“‘«‹„「(")


class Thinking:
    """Parts a model's text into thinking and reply, as it comes.

    `said` is all that came, piece by piece.
    """

    __slots__ = (
        "_closing",
        "_has_thought",
        "_held",
        "_is_final",
        "_looks_left",
        "_state",
        "begins_in_thought",
        "is_unmarked",
        "said",
    )

    def __init__(self, *, begins_in_thought: bool = False) -> None:
        self.begins_in_thought = begins_in_thought
        self.is_unmarked = False
        """A closing mark came, and no opening one had."""
        self.said: list[str] = []
        self._held = ""
        self._state: Literal["unclear", "thinking", "channel", "unmarked", "doubt", "reply"] = (
            "unclear"
        )
        self._closing = ""
        self._is_final = False
        self._has_thought = False
        self._looks_left: int = _LOOKS

    def leaves(self, text: str) -> bool:
        """Whether `text` is the reply's as it stands. Where it is, it only needs to be in `said`."""
        if self._state != "reply":
            return False
        return not (self._looks_left and (">" in text or "]" in text))

    def parts(self, text: str) -> list[Part]:
        """What is clear once `text` came."""
        self.said.append(text)
        found: list[Part] = []
        text, self._held = self._held + text, ""
        while text:
            match self._state:
                case "unclear":
                    text = self._begun(text)
                case "thinking":
                    text = self._thought(text, found)
                case "channel":
                    text = self._channelled(text, found)
                case "unmarked":
                    text = self._closed(text, found)
                case "reply" | "doubt":
                    self._replied(text, found)
                    break
        return found

    def rest(self) -> list[Part]:
        """What was held back, when nothing follows."""
        held, self._held = self._held, ""
        if self._state == "unmarked":
            held = "".join(self.said)
        if self._state == "unclear" and self._has_thought and held.startswith(_HEADER_STARTS):
            return []  # the beginning of a header is no word
        if not held:
            return []
        is_thought = self._state == "thinking" or (self._state == "channel" and not self._is_final)
        return [ReasoningDelta(held) if is_thought else TextDelta(held)]

    def _begun(self, text: str) -> str:
        """Look for an opening mark; what is to be read on with."""
        begun = text.lstrip()
        if self._has_thought:
            text = begun  # models put empty lines between their thinking and the reply
        if not begun:
            self._held = text
            return ""
        if header := _HEADER.match(begun):
            self._state, self._is_final = "channel", header[1] == "final"
            self._has_thought = True
            return begun[header.end() :]
        if mark := _OPENING.match(begun):
            self._state, self._closing = "thinking", _PAIRS[mark[0].lower()]
            self._has_thought = True
            return begun[mark.end() :]
        small = begun.lower()
        is_header = len(begun) < _LONGEST_HEADER and any(
            begun.startswith(start) or start.startswith(begun) for start in _HEADER_STARTS
        )
        if is_header or any(mark.startswith(small) for mark in _PAIRS):
            self._held = text
            return ""
        if self._has_thought:
            self._state, self._looks_left = "reply", 0
        else:
            self._state = "unmarked" if self.begins_in_thought else "reply"
        return text

    def _thought(self, text: str, found: list[Part]) -> str:
        at = text.lower().find(self._closing)
        if at < 0:
            keep = _overlap(text.lower(), (self._closing,))
            thought, self._held = text[: len(text) - keep], text[len(text) - keep :]
            rest = ""
        else:
            thought, rest = text[:at], text[at + len(self._closing) :]
            self._state = "unclear"
        if thought:
            found.append(ReasoningDelta(thought))
        return rest

    def _channelled(self, text: str, found: list[Part]) -> str:
        end = _CHANNEL_END.search(text)
        if end is None:
            keep = _overlap(text, _CHANNEL_ENDS)
            said, self._held = text[: len(text) - keep], text[len(text) - keep :]
            rest = ""
        else:
            said, rest = text[: end.start()], text[end.end() :]
            self._state = "unclear"
        if said:
            found.append(TextDelta(said) if self._is_final else ReasoningDelta(said))
        return rest

    def _closed(self, text: str, found: list[Part]) -> str:
        """Hold the thinking of a model that `begins_in_thought` until its closing mark."""
        mark = self._closing_mark(text)
        if mark is None:
            return ""
        whole = "".join(self.said)
        found.append(ReasoningDelta(whole[: mark[0]]))
        self._state, self._has_thought, self.is_unmarked = "unclear", True, True
        return whole[mark[1] :]

    def _replied(self, text: str, found: list[Part]) -> None:
        """Hand out the reply, and look for a closing mark without an opening one."""
        mark = self._closing_mark(text) if self._looks_left else None
        if mark is not None:
            whole = "".join(self.said)
            follows = whole[mark[1] :].lstrip()
            if not follows:
                self._state, self._held = "doubt", text
                return
            if _ends_thinking(whole[: mark[0]], whole[mark[1] :]):
                self.is_unmarked = True
                self._looks_left = 0
                found.append(TakenBack())
                text = follows
            else:
                self._looks_left -= 1
        self._state = "reply"
        found.append(TextDelta(text))

    def _closing_mark(self, text: str) -> tuple[int, int] | None:
        """Where in all that was said a closing mark stands that ends within `text`, its last part."""
        if ">" not in text and "]" not in text:
            return None
        newest: list[str] = []
        size = 0
        for piece in reversed(self.said):
            newest.append(piece)
            size += len(piece)
            if size >= len(text) + _LONGEST_CLOSING:
                break
        end = "".join(reversed(newest))
        mark = _CLOSING.search(end, max(0, len(end) - len(text) - _LONGEST_CLOSING))
        if mark is None:
            return None
        before = sum(map(len, self.said)) - len(end)
        return before + mark.start(), before + mark.end()


def _ends_thinking(before: str, after: str) -> bool:
    """Whether a closing mark between the two ends a model's thinking, and is not talked about."""
    if _OPENING.search(before) or before.count("```") % 2:
        return False
    line = before[before.rfind("\n") + 1 :]
    if line.count("`") % 2 or line.endswith(_QUOTES):
        return False
    line = line.rstrip()
    return not line or line[-1] in _SENTENCE_END or after.lstrip(" \t\r").startswith("\n")


def _overlap(text: str, marks: tuple[str, ...]) -> int:
    """How many characters at the end of `text` may be the beginning of one of the marks."""
    for length in range(min(max(map(len, marks)) - 1, len(text)), 0, -1):
        if any(mark.startswith(text[-length:]) for mark in marks):
            return length
    return 0
