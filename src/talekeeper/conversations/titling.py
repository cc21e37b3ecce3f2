"""Titling: a conversation that nobody named is called by the first thing that was said in it."""

import re
from typing import Final

LENGTH: Final = 60

_MARKS: Final = re.compile(r"[#>*_`~|]+|\[\[.*?\]\]")


def title_from(content: str) -> str:
    """The beginning of the first line that says something, cut between words; it may be empty."""
    for line in content.splitlines():
        words = " ".join(_MARKS.sub("", line).split())
        if not words:
            continue
        if len(words) <= LENGTH:
            return words
        kept = words[: LENGTH + 1].rsplit(" ", 1)[0]
        return f"{kept[:LENGTH].rstrip(' ,;:.')}…"
    return ""
