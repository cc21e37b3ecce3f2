"""Identifiers: one type an idea, so that a leaf's id cannot be passed for a conversation's."""

import os
import time
from typing import NewType
from uuid import UUID

from talekeeper.errors import InvalidInput

AccountId = NewType("AccountId", str)
ConversationId = NewType("ConversationId", str)
MessageId = NewType("MessageId", str)
GenerationId = NewType("GenerationId", str)
TokenId = NewType("TokenId", str)
BootId = NewType("BootId", str)
JobId = NewType("JobId", str)
RecordId = NewType("RecordId", str)
DraftId = NewType("DraftId", str)
ConnectionId = NewType("ConnectionId", str)


def fresh_id() -> str:
    """An identifier in the canonical form of a version 4 UUID: milliseconds, then 74 random bits.

    The time stands first because of the indexes: what was made together lies together, and a commit
    writes their last page again instead of one somewhere. It promises no order, since clocks step.
    """
    millis = time.time_ns() // 1_000_000 % (1 << 48)
    return str(UUID(int=millis << 80 | int.from_bytes(os.urandom(10)), version=4))


def canonical_id(text: str) -> str:
    """`text` as a lower-case UUID of 36 characters.

    Raises InvalidInput when it is not a UUID in its usual form.
    """
    if len(text) == 36:
        try:
            return str(UUID(text))
        except ValueError:
            pass
    raise InvalidInput("An id must be a UUID, such as 3f2b8c1e-6a4d-4f0e-9b7a-2d1c5e8f9a01.")
