"""Everything that can go wrong, as one tree.

    TalekeeperError
    ├── InvalidInput            the request itself is wrong; sending it again will not help
    │   ├── TooLarge            more bytes or characters than are taken
    │   ├── UnknownParent       a message was to stand under one that is not there
    │   └── IdReused            a client's id came back with another text, or elsewhere
    ├── NotFound                absent, or another account's: the two look alike
    ├── Unauthenticated         nobody is logged in, or the token is unknown, used or expired
    ├── Forbidden               logged in, but this is the owner's to do
    ├── GenerationRunning       a second generation was asked for while one runs
    ├── NotInTrash              deleting for good takes what was deleted before
    ├── LimitReached            a limit of this server; it holds for a while
    │   ├── TooOften                as many as a minute may have
    │   └── TooManyAtOnce           as many as may go on at the same time
    ├── StoreError              the database could not do it; nothing was acknowledged
    │   ├── StoreBusy           locked or overloaded; trying again soon helps
    │   │   └── HolderSilent        the process that writes a reply does not end it
    │   ├── StoreFull           the disk is full; reads go on
    │   ├── SyncFailed          the disk did not confirm the write
    │   ├── StoreUnavailable    the database server cannot be reached, or the store is closed
    │   └── InstallationRefused what lies in the data folder must not be served or replaced
    │       ├── DataFolderInUse     another server holds it
    │       ├── FolderOnNetwork     its file system is another machine's
    │       ├── DatabaseDamaged     missing, empty, truncated or unreadable
    │       └── DatabaseTooNew      written by a newer Talekeeper
    ├── ConfigurationError      settings that cannot be started with
    ├── ModelNotAdded           a model's file could not be had; what came of it is kept
    │   ├── NoRoomForModel      the disk has too little room for it
    │   └── ModelBeingAdded     it is being added already
    └── ProviderError           the model did not give a whole reply; the user's message is kept
        ├── ProviderUnreachable     refused, timed out or not found
        ├── ProviderRefusedKey      401 or 403
        ├── StoredKeyUnreadable     the master key does not open the key that was stored
        ├── ProviderRateLimited     429, with how long to wait where it was said
        ├── ProviderFailed          5xx, or an error in the stream
        ├── ProviderStreamCut       the connection ended before the reply did
        ├── ProviderSentGarbage     what came was not the protocol
        ├── ProviderStalled         nothing came for longer than the setting allows
        ├── ProviderRejected        4xx: the request was not accepted (unknown model, bad parameter)
        ├── ContextTooLong          the conversation does not fit into the model
        ├── NothingToAnswer         the message to be answered was left out of what models are told
        ├── ConnectionMissing       the connection that was chosen to answer has been removed
        └── ModelMissing            no model is chosen, or its weights are not there

An error knows a stable `code` and whether trying again may help (`retryable`); it knows nothing
of HTTP. `api/problems.py` maps classes to statuses, `cli/exits.py` to exit codes.

What a running server raises may be answered to a client, even to one without a login: its message
names no path of this machine. The path goes into `place`, which only the command line tells.
"""

from pathlib import Path
from typing import ClassVar


class TalekeeperError(Exception):
    """The root. `str(error)` names the thing and says what to do next, in plain words."""

    code: ClassVar[str] = "error"
    retryable: ClassVar[bool] = False
    retry_after: float | None = None
    """Seconds to wait before trying again, where that is known."""

    def __init__(
        self, message: str, *, retry_after: float | None = None, place: Path | None = None
    ) -> None:
        super().__init__(message)
        self.message = message
        self.place = place
        if retry_after is not None:
            self.retry_after = retry_after


class InvalidInput(TalekeeperError):
    code = "invalid_input"


class TooLarge(InvalidInput):
    code = "too_large"


class UnknownParent(InvalidInput):
    code = "unknown_parent"


class IdReused(InvalidInput):
    code = "id_reused"


class NotFound(TalekeeperError):
    code = "not_found"


class Unauthenticated(TalekeeperError):
    code = "unauthenticated"


class Forbidden(TalekeeperError):
    code = "forbidden"


class GenerationRunning(TalekeeperError):
    """`generation_id` is the one that runs."""

    code = "generation_running"

    def __init__(self, message: str, *, generation_id: str) -> None:
        super().__init__(message)
        self.generation_id = generation_id


class NotInTrash(TalekeeperError):
    code = "not_in_trash"


class LimitReached(TalekeeperError):
    """The same may be asked for again in `seconds`."""

    code = "limit_reached"
    retryable = True

    def __init__(self, message: str, *, seconds: int) -> None:
        super().__init__(message, retry_after=seconds)
        self.seconds = seconds


class TooOften(LimitReached):
    code = "too_often"


class TooManyAtOnce(LimitReached):
    code = "too_many_at_once"


class StoreError(TalekeeperError):
    code = "store_error"


class StoreBusy(StoreError):
    code = "store_busy"
    retryable = True
    retry_after = 1.0


class HolderSilent(StoreBusy):
    """The stop of the reply is stored, and the process that writes the reply has not heeded it."""


class StoreFull(StoreError):
    code = "store_full"
    retryable = True
    retry_after = 5.0


class SyncFailed(StoreError):
    code = "sync_failed"
    retryable = True
    retry_after = 2.0


class StoreUnavailable(StoreError):
    code = "store_unavailable"
    retryable = True
    retry_after = 2.0


class InstallationRefused(StoreError):
    code = "installation_refused"


class DataFolderInUse(InstallationRefused):
    code = "data_folder_in_use"


class FolderOnNetwork(InstallationRefused):
    code = "folder_on_network"


class DatabaseDamaged(InstallationRefused):
    code = "database_damaged"


class DatabaseTooNew(InstallationRefused):
    code = "database_too_new"


class ConfigurationError(TalekeeperError):
    code = "configuration"


class ModelNotAdded(TalekeeperError):
    code = "model_not_added"
    retryable = True


class NoRoomForModel(ModelNotAdded):
    code = "no_room_for_model"


class ModelBeingAdded(ModelNotAdded):
    code = "model_being_added"


class ProviderError(TalekeeperError):
    code = "provider_error"


class ProviderUnreachable(ProviderError):
    code = "provider_unreachable"
    retryable = True


class ProviderRefusedKey(ProviderError):
    code = "provider_refused_key"


class StoredKeyUnreadable(ProviderError):
    """The stored key was sealed with another master key, for another record, or is damaged."""

    code = "provider_key_unreadable"

    def __init__(self, message: str = "The stored key cannot be opened; enter it again.") -> None:
        super().__init__(message)


class ProviderRateLimited(ProviderError):
    code = "provider_rate_limited"
    retryable = True


class ProviderFailed(ProviderError):
    code = "provider_failed"
    retryable = True


class ProviderStreamCut(ProviderError):
    code = "provider_stream_cut"
    retryable = True


class ProviderSentGarbage(ProviderError):
    code = "provider_sent_garbage"
    retryable = True


class ProviderStalled(ProviderError):
    code = "provider_stalled"
    retryable = True


class ProviderRejected(ProviderError):
    code = "provider_rejected"


class NothingToAnswer(ProviderError):
    code = "nothing_to_answer"


class ContextTooLong(ProviderError):
    code = "context_too_long"


class ConnectionMissing(ProviderError):
    code = "connection_missing"

    def __init__(
        self,
        message: str = (
            "The connection that was chosen to answer here has been removed. What you wrote is "
            "kept. Choose another connection, then ask for the reply again."
        ),
    ) -> None:
        super().__init__(message)


class ModelMissing(ProviderError):
    code = "model_missing"


def trail(error: BaseException) -> list[str]:
    """The innermost lines of code that `error` came through, for the log.

    Lines and no message: a message may quote what somebody wrote.
    """
    places: list[str] = []
    step = error.__traceback__
    while step is not None:
        code = step.tb_frame.f_code
        module = step.tb_frame.f_globals.get("__name__", "?")
        places.append(f"{module}.{code.co_name}:{step.tb_lineno}")
        step = step.tb_next
    return places[-6:]
