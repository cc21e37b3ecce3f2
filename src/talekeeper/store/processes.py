"""Server processes and their leases: who may still be writing a reply."""

from talekeeper.ids import BootId
from talekeeper.store.prepared import prepared
from talekeeper.store.sql import (
    BigInteger,
    bindparam,
    delete,
    insert,
    literal_column,
    processes,
    select,
    update,
)
from talekeeper.store.units import Reader, Writer

_p = processes.c
_INSERT = prepared(
    insert(processes).values(
        boot_id=bindparam("boot_id"),
        started_at=bindparam("now"),
        lease_until=bindparam("until"),
    )
)
_RENEW = prepared(
    update(processes)
    .where(_p.boot_id == bindparam("mine"), _p.lease_until > bindparam("now"))
    .values(lease_until=bindparam("until"))
)
_LEAVE = prepared(delete(processes).where(_p.boot_id == bindparam("boot_id")))
_FORGET = prepared(
    delete(processes).where(
        _p.boot_id != bindparam("boot_id"), _p.lease_until <= bindparam("before")
    )
)
_SERVER_TIME = prepared(
    select(literal_column("(extract(epoch from clock_timestamp()) * 1000)::bigint", BigInteger))
)


def server_time(tx: Reader) -> int:
    """The database server's clock, which all processes of a fleet share. PostgreSQL only."""
    row = tx.first(_SERVER_TIME)
    assert row is not None
    return row[0]


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
