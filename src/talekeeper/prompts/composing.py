"""Composing: sections and a window become the request for one reply, with a receipt."""

from collections.abc import Sequence
from dataclasses import dataclass

from talekeeper.domain.audiences import AS_GAME_MASTER, Viewer
from talekeeper.domain.conversations import AS_THE_PROVIDER_DOES, Sampling
from talekeeper.domain.replies import ReplyRequest, Wish
from talekeeper.ids import MessageId
from talekeeper.prompts.fitting import Fitting, Window, fitted
from talekeeper.prompts.receipts import WrittenReceipt, written_receipt
from talekeeper.prompts.sections import Section
from talekeeper.prompts.turns import OPENING_COST, MadeTurns, legal_turns


@dataclass(frozen=True, slots=True)
class Composed:
    """What is asked of the model, and what the receipt is written from."""

    request: ReplyRequest
    fitting: Fitting
    made: MadeTurns
    window: Window
    is_first_exchange: bool
    """Nothing that the assistant said stands above the reply."""
    connection: str | None = None
    """The name of the connection through which the model is asked."""

    def receipt(self, *, unheeded: Sequence[Wish] = ()) -> WrittenReceipt:
        """Exactly what was sent, and why. `unheeded` are the wishes that the provider refused."""
        return written_receipt(
            self.request,
            self.fitting,
            self.made,
            self.window,
            connection=self.connection,
            unheeded=unheeded,
        )


def composed(
    sections: Sequence[Section],
    window: Window,
    *,
    model: str,
    sampling: Sampling = AS_THE_PROVIDER_DOES,
    connection: str | None = None,
    viewer: Viewer = AS_GAME_MASTER,
    began_at: MessageId | None = None,
) -> Composed:
    """The request that these sections make, as much of each as finds room.

    No text is in it that `viewer` may not see. `began_at` is the message at which the history of the
    request before began. Raises ContextTooLong.
    """
    fitting = fitted(sections, window, viewer=viewer, began_at=began_at, reserved=OPENING_COST)
    made = legal_turns(fitting, is_cut=fitting.left_out_by is not None)
    prefill = fitting.sections.get("prefill")
    request = ReplyRequest(
        model=model,
        turns=tuple([turn.turn() for turn in made.turns]),
        continues=bool(prefill and prefill.included and prefill.included[-1].role == "assistant"),
        max_tokens=sampling.max_tokens,
        temperature=sampling.temperature,
        top_p=sampling.top_p,
    )
    history = next((section for section in sections if section.name == "history"), None)
    is_first = history is None or not any(
        text.role == "assistant" and text.withheld is None for text in history.texts
    )
    return Composed(request, fitting, made, window, is_first, connection)
