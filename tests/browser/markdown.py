"""Markdown to be shown: the specifications' own examples, random texts, and the words each must show."""

import json
import random
import re
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Final

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token

ROOT: Final = Path(__file__).parents[2]
_WORD: Final = re.compile(r"[^\W_]+")
_BREAK: Final = re.compile(r"<br\s*/?>", re.IGNORECASE)
_DONE: Final = re.compile(r"\[[xX]\](?=\s)")
_NUMBER: Final = re.compile(r"(\d{1,9})[.)](?=\s)")
"""What may number an item of a list: it is drawn as the item's marker and is no text."""
_UNKEPT: Final = re.compile("[\x00-\x08\x0b-\x0d\x0e-\x1f\x7f]")
"""Characters that no message has."""

_PIECES: Final = (
    *("*", "**", "_", "__", "~", "~~", "`", "``", "```\n", "~~~ ada\n", "> ", ">", "- ", "1. "),
    *("17) ", "# ", "###### ", "\n", "\n\n", "    ", "\t", "  \n", "\\", "\\\n", "&amp;", "&nbsp;"),
    *("&copy", "&#35;", "&D;", "[", "]", "](", ")", "![", "[a]: ", "[a]: https://a.example/ 'b'\n"),
    *("[^1]", "[^1]: ", "<br>", "<b>", "<!-- ", "-->", "<https://a.example/>", "www.a.example"),
    *("ada@a.example", "| a | b |\n", "| - | :-: |\n", "---\n", "===\n", "- [ ] ", "- [x] ", '"'),
    *("5*6*7", "\u300c\u9580\u300d", "\u3092\u958b\u3051\u305f\u3002", "\u05e9\u05dc\u05d5\u05dd"),
    *("goblin", " and ", "The mill stands. ", "\u00e9", "\U0001f409", "\u200d", "\u202e", "$"),
)
_TEXTS: Final = st.one_of(
    st.lists(st.sampled_from(_PIECES), min_size=1, max_size=60).map("".join),
    st.text(max_size=200),
    st.recursive(
        st.sampled_from(("goblin", "two words", "`code`", "5*6")),
        lambda inner: st.tuples(
            st.sampled_from(("*{}*", "**{}**", "> {}", "- {}\n", "[{}](b)", "1. {}", "{}\n\n{}")),
            inner,
        ).map(lambda both: both[0].replace("{}", both[1])),
        max_leaves=12,
    ),
)


@cache
def examples() -> tuple[str, ...]:
    """Every example of CommonMark and of GFM that a message can be."""
    told = subprocess.run(
        [sys.executable, ROOT / "tools" / "page.py", "npm", "run", "--silent", "examples"],
        capture_output=True,
        check=True,
        text=True,
    )
    texts = (_UNKEPT.sub("", text) for text in json.loads(told.stdout.splitlines()[-1]))
    return tuple(text for text in texts if text.strip())


def random_texts(count: int, *, dice: int) -> list[str]:
    """Texts of pieces of Markdown, of any characters, and of examples spliced and spoiled."""
    made: list[str] = []

    @seed(dice)
    @settings(
        max_examples=count // 2,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
        deadline=None,
    )
    @given(_TEXTS)
    def note(text: str) -> None:
        made.append(_UNKEPT.sub("", text.encode(errors="ignore").decode()))

    note()
    dices = random.Random(dice)
    while len(made) < count:
        made.append(_spoiled(dices))
    return [text for text in made if text.strip()]


def _spoiled(dice: random.Random) -> str:
    text = "".join(dice.choices(examples(), k=dice.randint(1, 3)))
    for _ in range(dice.randint(1, 6)):
        at = dice.randint(0, len(text))
        match dice.randrange(4):
            case 0:
                text = text[:at] + dice.choice(_PIECES) + text[at:]
            case 1:
                text = text[:at] + text[at + dice.randint(1, 8) :]
            case 2:
                text = text[:at] + text[at : at + 20] * dice.randint(2, 4) + text[at + 20 :]
            case _:
                text = text.replace(dice.choice("*_[]`>\n- "), dice.choice(_PIECES), 1)
    return text[:4000]


def words_of(text: str, *, own: bool) -> list[str]:
    """The words that a reader must see: text, code, HTML, alternative texts, and definitions."""
    reader = MarkdownIt("commonmark", {"maxNesting": 1000}).enable(["table", "strikethrough"])
    reader.disable(["html_block", "code"] if own else "html_block")
    # The mark of a task that is done is a box.
    text = _DONE.sub("[ ]", text)
    environment: dict[str, dict[str, dict[str, str]]] = {}
    words = _words_in(reader.parse(text, environment))
    for definition in environment.get("references", {}).values():
        words += _WORD.findall(definition["title"])
    numbers = set(_NUMBER.findall(text))
    return [word for word in words if word not in numbers]


def _words_in(tokens: list[Token]) -> list[str]:
    words: list[str] = []
    for token in tokens:
        if token.children:
            words += _words_in(token.children)
        elif token.type in ("text", "code_inline", "code_block", "fence"):
            words += _WORD.findall(token.content)
        elif token.type == "html_inline":
            words += _WORD.findall(_BREAK.sub(" ", token.content))
    return words
