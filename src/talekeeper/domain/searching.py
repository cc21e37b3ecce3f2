"""Searching: what a person types, which texts it finds, and how a finding is shown.

Words must all be there, in any order and anywhere within other words; "a phrase" must stand
together; -word and -"a phrase" must not be there. Where no word is left that must be there, as in `-5`
or `"`, all that was typed is looked for as it stands. Nothing that can be typed is an error, but for
saying nothing at all.
"""

import re
from bisect import bisect_right
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from typing import Final

from talekeeper.clock import Millis
from talekeeper.domain.conversations import Conversation, Purpose, Role
from talekeeper.domain.folding import composed, folded
from talekeeper.domain.graphemes import hangs_together
from talekeeper.errors import InvalidInput
from talekeeper.ids import ConversationId, MessageId

MAX_QUERY: Final = 500
"""Characters of one query."""
SNIPPET: Final = 160
"""Characters of a snippet, about."""
_LEAD: Final = 48
_CHUNK: Final = 512
_TERM: Final = re.compile(r'(?P<without>(?<!\S)-(?=\S))?(?:"(?P<phrase>[^"]*)"?|(?P<word>[^\s"]+))')
_QUOTES: Final = str.maketrans("“”„‟", '""""')
_SPACES: Final = re.compile(r"\s+")


@dataclass(frozen=True)
class Query:
    """Folded words and phrases that must, and must not, be in a text."""

    wanted: tuple[str, ...]
    unwanted: tuple[str, ...] = ()

    def finds(self, text: str) -> bool:
        """Whether the composed text is one that was asked for."""
        searched = folded(text)
        return all(_stands_in(term, searched) for term in self.wanted) and not any(
            _stands_in(term, searched) for term in self.unwanted
        )

    @cached_property
    def pattern(self) -> re.Pattern[str]:
        """Any of the wanted terms, in a folded text; the longest where several begin."""
        terms = sorted(self.wanted, key=len, reverse=True)
        return re.compile("|".join(_pattern(term) for term in terms))


@dataclass(frozen=True, slots=True)
class Sought:
    """Among which messages to look. `since` and `until` are times, the second not included."""

    purpose: Purpose | None = None
    role: Role | None = None
    since: Millis | None = None
    until: Millis | None = None
    conversation_id: ConversationId | None = None
    with_archived: bool = True


@dataclass(frozen=True, slots=True)
class SnippetPart:
    text: str
    is_match: bool


@dataclass(frozen=True, slots=True)
class FoundMessage:
    """As much of a message as a list of findings shows."""

    id: MessageId
    role: Role
    created_at: Millis
    seq: int
    provider: str | None
    model: str | None


@dataclass(frozen=True, slots=True)
class Finding:
    """A message that was found. `on_active_path`: it is read on the branch that is open there."""

    conversation: Conversation
    message: FoundMessage
    snippet: tuple[SnippetPart, ...]
    on_active_path: bool


@dataclass(frozen=True, slots=True)
class FindingPage:
    """Findings, newest first; `next` goes on to older ones, null where there are none.

    `behind`: some of what was said is not in the index yet. `is_partial`: the search was broken off
    after its time, and goes on with `next`, however few it has found.
    """

    items: tuple[Finding, ...]
    next: str | None
    behind: bool
    is_partial: bool


def query_of(typed: str) -> Query:
    """What `typed` asks for. Raises InvalidInput when it names nothing to look for."""
    wanted: dict[str, None] = {}
    unwanted: dict[str, None] = {}
    for found in _TERM.finditer(composed(typed).translate(_QUOTES)):
        term = " ".join(folded(found["phrase"] or found["word"] or "").split())
        if term.strip("-"):
            (unwanted if found["without"] else wanted)[term] = None
    if wanted:
        return Query(tuple(wanted), tuple(unwanted))
    if literal := " ".join(folded(composed(typed)).split()):
        return Query((literal,))
    raise InvalidInput("Type at least one word to look for.")


def _pattern(term: str) -> str:
    return " +".join(re.escape(word) for word in term.split(" "))


def _stands_in(term: str, searched: str) -> bool:
    if " " not in term:
        return term in searched
    return re.search(_pattern(term), searched) is not None


def snippet(text: str, query: Query) -> tuple[SnippetPart, ...]:
    """The stretch of the composed text around the first match, cut between whole characters.

    A cut is shown by an ellipsis, and every stretch of spaces and line ends as one space.
    """
    places = _places(text, query)
    first = places[0] if places else (0, 0)
    begin = _cut(text, max(0, first[0] - _LEAD), backwards=True)
    end = _cut(text, min(len(text), max(begin + SNIPPET, min(first[1], begin + 2 * SNIPPET))))
    parts = [(text[begin:begin], False)]
    at = begin
    for start, stop in places:
        if start >= end:
            break
        parts += [(text[at:start], False), (text[start : min(stop, end)], True)]
        at = min(stop, end)
    parts.append((text[at:end], False))
    if begin > 0:
        parts[0] = ("…", False)
    if end < len(text):
        parts.append(("…", False))
    return _joined(parts)


def _joined(parts: list[tuple[str, bool]]) -> tuple[SnippetPart, ...]:
    joined: list[SnippetPart] = []
    for text, is_match in parts:
        said = _SPACES.sub(" ", text)
        if not said:
            continue
        if joined and joined[-1].is_match == is_match:
            joined[-1] = SnippetPart(joined[-1].text + said, is_match)
        else:
            joined.append(SnippetPart(said, is_match))
    return tuple(joined)


def _places(text: str, query: Query) -> list[tuple[int, int]]:
    """Where in the text the first matches are, as far as one snippet can show them."""
    pieces = [folded(text[at : at + _CHUNK]) for at in range(0, len(text), _CHUNK)]
    begins = [0, *accumulate(len(piece) for piece in pieces)]
    searched = "".join(pieces)
    places: list[tuple[int, int]] = []
    for found in query.pattern.finditer(searched):
        start = _unfolded(text, begins, found.start())
        if places and start > places[0][0] + SNIPPET:
            break
        stop = _unfolded(text, begins, found.end() - 1) + 1
        while stop < len(text) and not folded(text[stop]):
            stop += 1  # marks and joiners belong to the letter before them
        if places and start < places[-1][1]:
            start = places[-1][1]
        if start < stop:
            places.append((start, stop))
    return places


def _unfolded(text: str, begins: list[int], place: int) -> int:
    """The character of the text that stands at a place of its folded text."""
    chunk = bisect_right(begins, place, hi=len(begins) - 1) - 1
    at = chunk * _CHUNK
    passed = begins[chunk]
    while (passed := passed + len(folded(text[at]))) <= place:
        at += 1
    return at


def _cut(text: str, at: int, *, backwards: bool = False) -> int:
    """A place near `at` where the text can be cut: at a space if there is one near, and never
    within what is seen as one character.
    """
    if at in (0, len(text)):
        return at
    near = text[at : at + 12] if backwards else text[max(0, at - 12) : at]
    space = _SPACES.search(near) if backwards else None
    if space is not None:
        return at + space.end()
    if not backwards and (parted := near.rstrip()) and (spaces := list(_SPACES.finditer(parted))):
        return max(0, at - 12) + spaces[-1].start()
    step = -1 if backwards else 1
    while 0 < at < len(text) and hangs_together(text, at):
        at += step
    return at
