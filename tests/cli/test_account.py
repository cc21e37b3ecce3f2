"""`talekeeper account`: who may use this installation, and with what (S2, S4)."""

from pathlib import Path

import pytest

from servers import served


@pytest.mark.req("S4")
@pytest.mark.postgres
def test_a_second_server_leaves_the_commands_of_the_first_their_way_in(
    tmp_path: Path, postgres_database: str
):
    with served(tmp_path / "first", database_url=postgres_database) as first:
        with served(tmp_path / "second", database_url=postgres_database) as second:
            for server in (first, second):
                done = server.run("account", "list")
                assert (done.stdout, done.returncode) == ("Game Master (owner)\n", 0), done.stderr
            second.restart()
            for server in (first, second):
                assert server.run("account", "list").returncode == 0
