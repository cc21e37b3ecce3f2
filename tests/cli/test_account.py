"""`talekeeper account`: who may use this installation, and with what (S2, S4)."""

import re
import time
from pathlib import Path

import pytest

from servers import Server, served


@pytest.mark.req("S4")
@pytest.mark.postgres
def test_a_second_server_leaves_the_commands_of_the_first_their_way_in(
    tmp_path: Path, postgres_database: str
):
    with (
        served(tmp_path / "first", database_url=postgres_database) as first,
        served(tmp_path / "second", database_url=postgres_database) as second,
    ):
        for server in (first, second):
            done = server.run("account", "list")
            assert (done.stdout, done.returncode) == ("Game Master (owner)\n", 0), done.stderr
        second.restart()
        for server in (first, second):
            assert server.run("account", "list").returncode == 0


def _said(server: Server, *words: str) -> str:
    done = server.run("account", *words)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.req("S4")
@pytest.mark.parametrize("is_serving", [True, False])
async def test_logins_are_listed_and_revoked_with_and_without_a_server(
    tmp_path: Path, is_serving: bool
):
    with served(tmp_path, starts=is_serving) as server:
        token = server.add_account("Bea Ø")
        if is_serving:
            async with server.client(token) as bea:
                assert (await bea.get("/api/me")).status == 200
        listed = _said(server, "logins", "bea ø")
        (name,) = re.findall(r"^ {4}(\S{36})  a token for programs$", listed, re.MULTILINE)
        used = "last used" if is_serving else "not used yet"
        assert re.search(rf"created {time.strftime('%Y-')}\S+ \S+, {used}.*until it is rev", listed)
        assert 'talekeeper account revoke ID "bea ø"' in listed
        assert "Bea Ø" in _said(server, "revoke", name, "Bea Ø")
        assert "Nothing lets anybody in as Bea Ø" in _said(server, "logins", "Bea Ø")
        if is_serving:
            async with server.client(token) as bea:
                assert (await bea.ask("GET", "/api/me")).status == 401
        again = server.run("account", "revoke", name, "Bea Ø")
        assert again.returncode == 1
        assert "no such login" in again.stderr
        assert "no account named Eve" in server.run("account", "logins", "Eve").stderr


@pytest.mark.req("S4", "S2")
def test_the_link_of_the_start_is_in_the_owners_list_and_can_be_revoked(tmp_path: Path):
    with served(tmp_path) as server:
        listed = _said(server, "logins")
        (name,) = re.findall(r"^ {4}(\S+)  a login link, not used yet$", listed, re.MULTILINE)
        assert "control" not in listed
        _said(server, "revoke", name)
        assert "login link" not in _said(server, "logins")
