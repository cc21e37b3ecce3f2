"""Jobs: work that outlives the process which was asked for it."""

from dataclasses import dataclass
from typing import Literal

from talekeeper.ids import AccountId, ConversationId, JobId

JobKind = Literal["title"]

MAX_ATTEMPTS = 3
"""How often a job is begun at the most, whether it failed or its process died."""


@dataclass(frozen=True, slots=True)
class Job:
    """A claimed job. `attempts` counts this one as well."""

    id: JobId
    kind: JobKind
    conversation_id: ConversationId
    owner_id: AccountId
    attempts: int
