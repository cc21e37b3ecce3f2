"""Migrating: a database is brought to this version's schema in one transaction, or left as it was."""

from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import event

from talekeeper.clock import Clock
from talekeeper.database.seam import EngineSeam
from talekeeper.database.tables import installation
from talekeeper.errors import DatabaseTooNew
from talekeeper.ids import fresh_id

_DIALECTS = {"sqlite": "sqlite://", "postgresql": "postgresql+psycopg://"}


def migrate(seam: EngineSeam, clock: Clock) -> None:
    """The schema is this version's, and the database knows which installation it belongs to.

    Raises DatabaseTooNew when a newer version wrote it, with nothing changed.
    """
    engine = sa.create_engine(
        _DIALECTS[seam.name], creator=seam.connect_writer, poolclass=sa.NullPool
    )

    # The driver begins nothing by itself, and a killed upgrade must not stay half done. Two servers
    # may be started at once on one database: the second waits, and finds everything in place.
    def begin(connection: sa.Connection) -> None:
        for sql in seam.begin_migration:
            connection.exec_driver_sql(sql)

    event.listen(engine, "begin", begin)
    try:
        with engine.connect() as connection:
            _upgrade(connection)
            if connection.execute(sa.select(installation.c.id)).first() is None:
                connection.execute(
                    sa.insert(installation).values(
                        id=1, installation_id=fresh_id(), created_at=clock.now()
                    )
                )
            connection.commit()
    finally:
        engine.dispose()


def check_known(revision: str | None) -> None:
    """This version of the code knows the schema. Raises DatabaseTooNew."""
    known = {script.revision for script in ScriptDirectory.from_config(_config()).walk_revisions()}
    if revision is not None and revision not in known:
        raise DatabaseTooNew(
            f"This database was written by a newer Talekeeper (schema {revision}). Install that "
            "version, or restore a backup made with this one. Nothing was changed."
        )


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    return config


def _upgrade(connection: sa.Connection) -> None:
    check_known(MigrationContext.configure(connection).get_current_revision())
    config = _config()
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
