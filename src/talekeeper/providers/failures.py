"""What went wrong at a provider, in words that a game master can act on.

The answer's body is looked at to tell the cases apart and is never repeated: it may hold what the
user wrote, a part of the key, or a page of somebody's proxy.
"""

import email.utils
import re
from collections.abc import Sequence
from typing import Final

from talekeeper.clock import Clock
from talekeeper.domain.conversations import FinishReason
from talekeeper.domain.replies import Wish
from talekeeper.errors import (
    ContextTooLong,
    ProviderError,
    ProviderFailed,
    ProviderRateLimited,
    ProviderRefusedKey,
    ProviderRejected,
    ProviderSentGarbage,
    ProviderStalled,
    ProviderStreamCut,
)

_LONGEST_WAIT: Final = 86_400.0
_TOO_LONG: Final = (
    "context_length",
    "context length",
    "context window",
    "context size",
    "context_size",
    "maximum context",
    "prompt is too long",
    "input is too long",
    "too many tokens",
    "reduce the length",
    "string_above_max_length",
    "exceed context limit",
    "input token count",
    "exceeds the maximum number of tokens",
)
_NAMES: Final[dict[Wish, tuple[str, ...]]] = {
    "temperature": ("temperature",),
    "top_p": ("topp",),
    "max_tokens": (
        "maxtokens",
        "maxcompletiontokens",
        "maxoutputtokens",
        "maxnewtokens",
        "numpredict",
    ),
}
"""How providers call a wish, letters only: `max_tokens` and `maxOutputTokens` look alike then."""
_WORDS: Final[dict[Wish, str]] = {
    "temperature": "the temperature",
    "top_p": "the top-p",
    "max_tokens": "the longest reply",
}
_NO_CREDIT: Final = (
    "insufficient_quota",
    "insufficient credit",
    "billing",
    "exceeded your current",
)
_WRONG_ENDPOINT: Final = (
    "unexpected endpoint",
    "unknown endpoint",
    "unsupported endpoint",
    "no such endpoint",
    "endpoint not found",
    "endpoint not supported",
    "endpoint does not exist",
    "invalid url (",
    "unknown request url",
    "unrecognized request url",
    "unknown_url",
    "unknown path",
    "no route matched",
    "no route found",
    "route not found",
    "cannot post",
    "404 page not found",
    "method not allowed",
)


def failure(status: int, *, said: str, model: str, retry_after: float | None) -> ProviderError:
    """The error for an HTTP status that is no success, or for an error's code in a stream.

    `said` is the answer's body, read for hints only.
    """
    hints = said.lower()
    if status in (401, 403):
        return ProviderRefusedKey(
            "The provider refused the key. Check the API key in the settings, and that it may use "
            "this model."
        )
    if (
        status == 402
        or (status == 400 and "credit balance" in hints)
        or (status == 429 and any(word in hints for word in _NO_CREDIT))
    ):
        message = "The provider's account has no credit left. Top it up there, then try again."
        if status == 429:
            return ProviderRateLimited(message, retry_after=retry_after)
        return ProviderRejected(message)
    if status == 429:
        return ProviderRateLimited(
            "The provider takes no more requests for the moment. Wait a little, then try again.",
            retry_after=retry_after,
        )
    if status == 413 or (status in (400, 422) and any(word in hints for word in _TOO_LONG)):
        return ContextTooLong(
            "The conversation is too long for this model. Go on in a new conversation, or choose "
            "a model with a longer memory."
        )
    if status in (400, 404, 405, 501) and (wrong_address := endpoint_failure(hints)):
        return wrong_address
    if status == 404:
        return ProviderRejected(
            f"There is no model “{model}” at this address. Choose another model, or check the "
            "address in the settings: for an OpenAI-compatible server it usually ends in /v1."
        )
    if 300 <= status < 400:
        return ProviderRejected(
            "The provider's address sends on to another one, and Talekeeper does not follow. "
            "Enter the final address in the settings."
        )
    if status == 529 or (status == 503 and "overloaded" in hints):
        return ProviderFailed(
            "The provider is overloaded for the moment. Wait a little, then try again.",
            retry_after=retry_after,
        )
    if status >= 500 or status in (408, 409, 425):
        return ProviderFailed(
            "The provider had a fault of its own. Try again; if it stays so, look at its status "
            "page or log.",
            retry_after=retry_after,
        )
    return ProviderRejected(
        f"The provider did not accept the request (status {status}). Check the model's name in "
        "the settings, or choose another model."
    )


def refused_wish(said: str, wishes: Sequence[Wish]) -> ProviderRejected | None:
    """The error for a refusal that names one of the request's wishes; None where it names none."""
    hints = re.sub(r"[^a-z]", "", said.lower())
    for wish in wishes:
        if any(word in hints for word in _NAMES[wish]):
            return ProviderRejected(
                f"The provider does not take {_WORDS[wish]} that is set for this conversation. "
                "Change it in the reply settings, or leave it to the provider, then try again."
            )
    return None


def waiting_time(text: str | None, clock: Clock) -> float | None:
    """Seconds from a `Retry-After` header, which holds seconds or a date; None if it is neither."""
    if not text:
        return None
    try:
        seconds = float(text)
    except ValueError:
        try:
            then = email.utils.parsedate_to_datetime(text).timestamp()
        except (ValueError, OverflowError, OSError):
            return None
        seconds = then - clock.now() / 1000
    # A NaN fails both comparisons and becomes the longest wait; None says it better.
    return min(max(seconds, 0.0), _LONGEST_WAIT) if seconds == seconds else None  # noqa: PLR0124


def broken_off() -> ProviderStreamCut:
    """The connection ended before the answer did."""
    return ProviderStreamCut(
        "The connection to the provider broke off before its answer was whole. What came is kept: "
        "continue it, or try again."
    )


def endpoint_failure(said: str) -> ProviderRejected | None:
    """The error for words that say that the address leads to nothing; None where they do not."""
    hints = said.lower()
    if any(words in hints for words in _WRONG_ENDPOINT):
        return ProviderRejected(
            "A server answers at this address, but not to requests of this kind. Check the address "
            "in the settings: for an OpenAI-compatible server it usually ends in /v1."
        )
    return None


def not_the_protocol() -> ProviderSentGarbage:
    """Something else than a model answered."""
    return ProviderSentGarbage(
        "What came back is not what this kind of provider sends. Check its address in the "
        "settings: for an OpenAI-compatible server it usually ends in /v1."
    )


def garbled() -> ProviderSentGarbage:
    """The answer was a model's, and what came then is no part of one."""
    return ProviderSentGarbage(
        "In the middle of the model's answer the provider sent something that is no part of one. "
        "What came before is kept: continue it, or try again."
    )


def too_large() -> ProviderSentGarbage:
    """One piece of an answer is larger than is taken."""
    return ProviderSentGarbage(
        "The provider sent a piece of its answer that is larger than Talekeeper takes at once. "
        "What came before is kept: continue it, or try again."
    )


def packed() -> ProviderSentGarbage:
    """The answer is compressed in a way that cannot be read here."""
    return ProviderSentGarbage(
        "The provider compressed its answer in a way that Talekeeper cannot read and did not ask "
        "for. Switch the compression off at the model's server, or at the proxy before it, then "
        "try again."
    )


def said_nothing(reason: FinishReason | None) -> ProviderError:
    """The model came to its end and the reply holds no word."""
    if reason == "refused":
        return ProviderRejected(
            "The model refused to answer, and gave no reason. Word your message differently, or "
            "choose another model."
        )
    if reason == "filtered":
        return ProviderRejected(
            "The provider's safety filter stopped the reply before its first word. Word your "
            "message differently, or choose another model."
        )
    if reason == "length":
        return ProviderRejected(
            "The model used up its whole reply without a word, as models do that think for long. "
            "Allow longer replies, or choose another model."
        )
    return ProviderFailed(
        "The model ended its reply without a word. Try again, or choose another model."
    )


def fell_silent() -> ProviderStalled:
    """Nothing came for longer than the setting allows."""
    return ProviderStalled(
        "The model has said nothing for too long, so Talekeeper stopped waiting. What came is "
        "kept: continue it, or try again."
    )
