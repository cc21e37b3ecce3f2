"""Health: what soon stands in the way of writing, judged by the disk and by the database's sizes."""

from dataclasses import dataclass
from typing import Final

GIB: Final = 1 << 30
LARGE_DATABASE: Final = 500 << 20
"""Bytes above which a database is said to be large."""
LARGE_LOG: Final = 256 << 20
"""Bytes above which a write-ahead log is not moved into its database any more."""


@dataclass(frozen=True, slots=True)
class Reason:
    """`code` is stable, `message` a sentence that says what to do."""

    code: str
    message: str


def is_disk_filling(*, free: int, total: int) -> bool:
    """Less than a GiB or a twentieth of the disk is free. A twentieth of a large disk lasts long."""
    return free < max(GIB, total // 20)


def is_disk_low(*, free: int) -> bool:
    """So little is free that sends may be refused soon."""
    return free < GIB


def disk_reasons(*, free: int, total: int) -> list[Reason]:
    if not is_disk_filling(free=free, total=total):
        return []
    text = f"Only {free / GIB:.1f} GiB are free on the disk of the data folder. Free some space."
    return [Reason("disk_low" if is_disk_low(free=free) else "disk_filling", text)]


def size_reasons(*, database: int | None, log: int | None) -> list[Reason]:
    """What the sizes of the database and of its log give reason for; None where one is not known."""
    found: list[Reason] = []
    if log is not None and log > LARGE_LOG:
        text = (
            f"The database's log has grown to {log >> 20} MB: something reads without end. "
            "Start the server again."
        )
        found.append(Reason("log_large", text))
    if database is not None and database > LARGE_DATABASE:
        text = f"The database has grown to {database >> 20} MB. Delete for good what you no longer need."
        found.append(Reason("database_large", text))
    return found
