"""Jobs: work that outlives the process which was asked for it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, get_args

from talekeeper.clock import Millis
from talekeeper.ids import AccountId, ConversationId, JobId

JobKind = Literal["title"]
JobState = Literal["queued", "running", "done", "failed", "cancelled"]

JOB_KINDS: Final[frozenset[str]] = frozenset(get_args(JobKind))
Standing = Literal["held", "cancelled", "lost"]
"""Of a job that a process has claimed: it is still that process's, and was perhaps asked to be
cancelled; or it is that process's no more.
"""
ENDED: Final[frozenset[JobState]] = frozenset({"done", "failed", "cancelled"})


@dataclass(frozen=True, slots=True)
class Job:
    """A job as it is stored.

    `attempts` counts how often it was begun, the present attempt included. `payload` is what the
    kind's handler needs to know, and `result` what it returned. `progress` counts steps that are
    done; `progress_of` is how many there are, None while that is not known.
    """

    id: JobId
    kind: JobKind
    owner_id: AccountId
    conversation_id: ConversationId | None
    payload: Mapping[str, Any]
    result: Mapping[str, Any] | None
    state: JobState
    progress: int
    progress_of: int | None
    attempts: int
    is_cancel_asked: bool
    error_code: str | None
    created_at: Millis
    updated_at: Millis
