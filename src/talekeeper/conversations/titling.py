"""Titling: a conversation that nobody named is called by the first thing that was said in it."""

import re
from typing import Final

from talekeeper.domain.graphemes import cut
from talekeeper.domain.titles import is_visible, without_turning

LENGTH: Final = 60

_MARKS: Final = re.compile(r"[#>*_`~|]+|\[\[.*?\]\]|[\x00-\x1f\x7f-\x9f]")


def title_from(content: str) -> str:
    """The beginning of the first line that says something, cut between words; it may be empty."""
    for line in content.splitlines():
        words = without_turning(" ".join(_MARKS.sub("", " ".join(line.split())).split()))
        if not is_visible(words):
            continue
        if len(words) <= LENGTH:
            return words
        kept = words[: LENGTH + 1].rsplit(" ", 1)[0]
        return f"{cut(words, min(len(kept), LENGTH)).rstrip(' ,;:.')}…"
    return ""
