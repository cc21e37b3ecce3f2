"""Dividing: the talk as sections. Instructions, history, the message to be answered, and a prefill.

A message whose reply ended before its first word stands in the path with nothing after it but the
next message of the same person. Run together, the two would be answered as one, and what failed an
hour ago would be answered now. So it is marked, in the turn that it becomes a part of.

A model is told the messages of one mode only, the one of the message to be answered, and none that a
person left out.
"""

from collections.abc import Sequence
from typing import Final

from talekeeper.domain.conversations import Line, Mode, Purpose
from talekeeper.errors import NothingToAnswer
from talekeeper.prompts.fitting import cost_of, estimated_tokens
from talekeeper.prompts.purposes import PURPOSES
from talekeeper.prompts.sections import Section, Text

UNANSWERED: Final = "(The message above got no answer. Answer what follows it.)"
ECHO_WORDS: Final = 6
"""Words a model that cannot continue a text is asked to begin with, so the seam can be found."""
HIDDEN: Final = "left out by you"
_OTHER_MODE: Final[dict[Mode, str]] = {
    "about": "said in Speak as, and this is said in About",
    "speak": "said in About, and this is said in Speak as",
}
_MARK: Final = Text(UNANSWERED, "unanswered", estimated_tokens(UNANSWERED))


def divided(
    history: Sequence[Line],
    *,
    purpose: Purpose,
    continues: bool = False,
    continues_text: bool = False,
    is_whole: bool = True,
) -> tuple[Section, ...]:
    """The sections for the reply to the last message of `history`, which is oldest first.

    Without `is_whole` there are older messages still, of which none can find room. With `continues`
    the last message is the unfinished reply itself. A model that can go on with its own text
    (`continues_text`) gets it as the prefill; any other is asked to go on.
    Raises NothingToAnswer where that last message is left out of what models are told.
    """
    last = history[-1]
    if last.hidden_from_ai:
        raise NothingToAnswer(
            "The message to be answered is left out of what the AI is told. Tell the AI again, then "
            "ask for a reply."
        )
    prefill = _prefill(last, is_asked=not continues_text) if continues else ()
    texts = _texts(history[:-1] if continues else history, mode=last.mode)
    message = texts[:1] if _is_question(texts) else []
    purpose_text = Text(PURPOSES[purpose], purpose, cost_of(PURPOSES[purpose]), role="system")
    return (
        Section("purpose", (purpose_text,)),
        Section("history", tuple(texts[len(message) :]), is_whole=is_whole),
        Section("message", tuple(message)),
        Section("prefill", prefill),
    )


def _texts(lines: Sequence[Line], *, mode: Mode) -> list[Text]:
    """What the lines say, newest first."""
    texts: list[Text] = []
    others = 0
    has_answer = True
    """Whether anything stands in the place of the reply to the line that comes next."""
    for line in reversed(lines):
        content, role = line.content, line.role
        is_blank = not content or content.isspace()
        if is_blank or line.hidden_from_ai or line.mode != mode:
            if line.hidden_from_ai:
                texts.append(_of(line, withheld=HIDDEN))
            elif not is_blank:
                others += 1
            has_answer = role != "assistant"
            continue
        is_marked = role == "user" and not has_answer
        texts.append(_of(line, mark=_MARK if is_marked else None))
        has_answer = True
    if others:
        texts.append(Text("", f"{others:,} messages", 0, withheld=_OTHER_MODE[mode]))
    return texts


def _of(line: Line, *, withheld: str | None = None, mark: Text | None = None) -> Text:
    return Text(
        line.content,
        "message",
        cost_of(line.content) + (mark.tokens if mark is not None else 0),
        line.role,
        line.audience,
        line,
        withheld,
        mark,
    )


def _is_question(texts: Sequence[Text]) -> bool:
    return bool(texts) and texts[0].withheld is None


def _prefill(reply: Line, *, is_asked: bool) -> tuple[Text, ...]:
    unfinished = _of(reply)
    if not is_asked:
        return (unfinished,)
    echo = " ".join(reply.content.split()[-ECHO_WORDS:])
    asked = (
        "Your last message was cut off. Go on with it exactly where it stops. Begin by repeating "
        f"its last words «{echo}», then write only what follows. Do not comment on this."
    )
    return (unfinished, Text(asked, "continue", cost_of(asked)))
