"""Server processes and their leases: who may still be writing a reply."""

from talekeeper.database.statements import statement
from talekeeper.database.units import Reader, Writer
from talekeeper.ids import BootId

_INSERT = statement(
    "INSERT INTO processes (boot_id, started_at, lease_until) VALUES (:boot_id, :now, :until)"
)
_RENEW = statement(
    "UPDATE processes SET lease_until = :until WHERE boot_id = :mine AND lease_until > :now"
)
_LEAVE = statement("DELETE FROM processes WHERE boot_id = :boot_id")
_FORGET = statement("DELETE FROM processes WHERE boot_id != :boot_id AND lease_until <= :before")
_OTHERS = statement(
    "SELECT boot_id FROM processes WHERE boot_id != :boot_id AND lease_until > :now"
)
_SERVER_TIME = statement(
    "SELECT CAST(julianday('now') * 86400000 AS INTEGER) AS now",
    postgresql="SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint AS now",
)


def server_time(tx: Reader) -> int:
    """The database's clock, which all processes of a fleet share."""
    row = tx.first(_SERVER_TIME)
    assert row is not None
    return row.now


def enrol(tx: Writer, boot_id: BootId, *, now: int, until: int) -> None:
    """This process may run generations until its lease ends."""
    tx.run(_INSERT, boot_id=boot_id, now=now, until=until)


def renew_lease(tx: Writer, boot_id: BootId, *, now: int, until: int) -> bool:
    """False when the lease had run out: what this process was writing may be another's now."""
    return tx.run(_RENEW, mine=boot_id, now=now, until=until) == 1


def leave(tx: Writer, boot_id: BootId) -> None:
    tx.run(_LEAVE, boot_id=boot_id)


def forget_dead(tx: Writer, boot_id: BootId, *, before: int) -> None:
    """Processes whose lease ended before `before` are forgotten."""
    tx.run(_FORGET, boot_id=boot_id, before=before)


def others_alive(tx: Reader, boot_id: BootId, *, now: int) -> list[BootId]:
    """The other processes whose leases have not run out."""
    return [BootId(row.boot_id) for row in tx.all(_OTHERS, boot_id=boot_id, now=now)]
