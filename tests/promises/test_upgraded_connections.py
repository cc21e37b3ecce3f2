"""What accounts had set while they had one connection of each kind is there after the upgrade (U19)."""

import json
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from tests.providers.hosts import LM_STUDIO, WORDS, Host

import talekeeper.database.migrations
from api.asking import TOKEN, ask, bearing, post
from servers import on_both_engines
from talekeeper.accounts.secrets import open_master_key
from talekeeper.accounts.tokens import token_hash
from talekeeper.api.app import create_app
from talekeeper.domain.connections import server_connection_id
from talekeeper.settings import load_settings
from talekeeper.store.verifying import verify
from tales import new_id

NOW = 1_700_000_000_000
ADA, BEA = new_id(), new_id()
CHOSEN, USUAL, ABSENT, BEAS = (new_id() for _ in range(4))
KEYS = {ADA: "sk-the-key-of-ada", BEA: "sk-the-key-of-bea"}
BEAS_TOKEN = "tk_of-bea"


def _old_installation(
    folder: Path, database_url: str | None, *, friend: str, key_file: Path
) -> None:
    """A database of schema 0007: Ada chose a friend's server and set up Ollama; Bea entered a key
    for the kind that the server was started with, and chose nothing.
    """
    folder.mkdir()
    address = (
        f"sqlite:///{folder / 'talekeeper.db'}"
        if database_url is None
        else database_url.replace("postgresql:", "postgresql+psycopg:")
    )
    config = Config()
    scripts = Path(talekeeper.database.migrations.__file__).parent
    config.set_main_option("script_location", str(scripts))
    master_key = open_master_key(key_file)
    engine = sa.create_engine(address)
    with closing(engine.connect()) as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0007")

        def put(table: str, **values: Any) -> None:
            names, places = ", ".join(values), ", ".join(f":{name}" for name in values)
            connection.execute(
                sa.text(f"INSERT INTO {table} ({names}) VALUES ({places})"),
                values,
            )

        def sealed(account: str) -> str:
            record = f"provider_settings/{account}/openai"
            return master_key.seal(KEYS[account], record_id=record)

        put("installation", id=1, installation_id=new_id(), created_at=NOW)
        put(
            "accounts", id=ADA, name="Ada", name_key="ada", is_admin=1, created_at=NOW,
            provider="openai", model="grand",
        )  # fmt: skip
        put("accounts", id=BEA, name="Bea", name_key="bea", is_admin=0, created_at=NOW)
        put(
            "access_tokens", id=new_id(), account_id=BEA, kind="bearer",
            hash=token_hash(BEAS_TOKEN), created_at=NOW,
        )  # fmt: skip
        put(
            "provider_settings", account_id=ADA, provider="openai", base_url=friend, model="bard",
            sealed_key=sealed(ADA), key_hint="-ada", context_length=9_000, longest_request=5_000,
        )  # fmt: skip
        put("provider_settings", account_id=ADA, provider="ollama", model="llama")
        # Another language at the same host, as a proxy speaks it.
        put("provider_settings", account_id=ADA, provider="google", base_url=friend)
        put(
            "provider_settings", account_id=BEA, provider="openai", sealed_key=sealed(BEA),
            key_hint="-bea", model="of bea",
        )  # fmt: skip
        for rank, (name, owner, provider, model) in enumerate(
            [
                (CHOSEN, ADA, "ollama", "qwen"),
                (USUAL, ADA, None, None),
                (ABSENT, ADA, "anthropic", None),
                (BEAS, BEA, None, None),
            ]
        ):
            put(
                "conversations", id=name, owner_id=owner, title="", purpose="general",
                activity=rank + 1, seq=1, epoch=0, provider=provider, model=model, created_at=NOW,
                updated_at=NOW,
            )  # fmt: skip
            put("events", conversation_id=name, seq=1, kind="conversation")
        connection.commit()
    engine.dispose()


@on_both_engines
@pytest.mark.req("U19", "S10")
async def test_what_was_set_for_each_provider_is_a_connection_that_answers(
    tmp_path: Path, database_url: str | None
) -> None:
    async with Host(LM_STUDIO) as friend, Host(LM_STUDIO) as servers:
        key_file = tmp_path / "key"
        _old_installation(tmp_path / "data", database_url, friend=friend.url, key_file=key_file)
        app = create_app(
            load_settings(
                data_dir=tmp_path / "data", key_file=key_file, database_url=database_url,
                token=TOKEN, provider="openai", openai_base_url=servers.url, titles=False,
            )
        )  # fmt: skip
        async with app.router.lifespan_context(app):
            assert await verify(app.state.keeper.store) == []
            owner, bea = bearing(TOKEN), bearing(BEAS_TOKEN)
            shown = (await ask(app, "GET", "/api/connections", owner)).json()
            items = {item["id"]: item for item in shown["items"]}
            openai, ollama = server_connection_id("openai"), server_connection_id("ollama")
            assert shown["chosen"] == {"connection_id": openai, "model": "grand"}
            expected = {
                "name": "127.0.0.1 2",
                "kind": "openai",
                "servers": False,
                "base_url": friend.url,
                "model": "bard",
                "key_hint": "-ada",
                "context_length": 9_000,
                "longest_request": 5_000,
                "note": None,
            }
            assert {key: items[openai][key] for key in expected} == expected
            assert (items[ollama]["name"], items[ollama]["model"]) == ("Ollama", "llama")
            google = items[server_connection_id("google")]
            assert (google["name"], google["base_url"]) == ("127.0.0.1", friend.url)

            async def conversation(name: str) -> Any:
                found = (await ask(app, "GET", f"/api/conversations/{name}", owner)).json()
                return found["connection_id"], found["model"]

            assert await conversation(CHOSEN) == (ollama, "qwen")
            assert await conversation(USUAL) == (None, None)
            assert await conversation(ABSENT) == (server_connection_id("anthropic"), None)

            async def answer(name: str, asker: Any) -> Any:
                said = {"id": new_id(), "content": "Who is there?"}
                path = f"/api/conversations/{name}/messages"
                sent = (await post(app, path, said, asker)).json()
                await app.state.keeper.generations.wait(sent["generation_id"])
                return (await ask(app, "GET", path, asker)).json()["items"][-1]

            assert (await answer(USUAL, owner))["content"] == WORDS
            assert [asked["model"] for asked in friend.asked] == ["grand"]
            assert friend.keys == [f"Bearer {KEYS[ADA]}"]
            assert (await answer(BEAS, bea))["content"] == WORDS
            assert [asked["model"] for asked in servers.asked] == ["of bea"]
            assert servers.keys == [f"Bearer {KEYS[BEA]}"]
            assert (await answer(ABSENT, owner))["error"]["code"] == "connection_missing"
            moved = json.dumps(shown)
            assert not any(key in moved for key in KEYS.values())
