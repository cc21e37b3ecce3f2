"""What the guide to Python shows is run as it stands, and what is public is what is meant to be."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

import talekeeper
from talekeeper import Settings, open_keeper
from talekeeper.errors import InvalidInput, LimitReached, NotFound
from talekeeper.providers.scripted import scripted_text
from talekeeper.settings import load_settings
from talekeeper.store.verifying import verify
from tales import new_id

ROOT = Path(__file__).parents[2]
GUIDE = ROOT / "docs" / "guide" / "python.md"


def a_folder(path: Path) -> Settings:
    return load_settings(data_dir=path / "data", key_file=path / "key", provider="scripted")


def test_the_guides_example_does_what_it_says(tmp_path: Path) -> None:
    (example,) = re.findall(r"```python\n(.*?)```", GUIDE.read_text(encoding="utf-8"), re.DOTALL)
    (tmp_path / "example.py").write_text(example, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-W", "error", "example.py"],
        cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    said = done.stdout
    assert "\nA stranger, hooded.\ncomplete, " in _without_log(said)
    assert "complete, " in said
    assert "user: Who is at the door?" in said
    assert "assistant: A stranger, hooded." in said
    assert (tmp_path / "campaign" / "talekeeper.db").exists()


def _without_log(said: str) -> str:
    """What the example printed: lines of the log begin with a time."""
    lines = said.splitlines(keepends=True)
    return "\n" + "".join(line for line in lines if not re.match(r"(\x1b\S*)?20\d\d-", line))


def test_the_public_names_are_these_and_no_others() -> None:
    assert sorted(talekeeper.__all__) == [
        "GameMaster",
        "Keeper",
        "Settings",
        "TalekeeperError",
        "__version__",
        "open_keeper",
    ]
    for name in talekeeper.__all__:
        assert getattr(talekeeper, name) is not None
        assert name in dir(talekeeper)
    with pytest.raises(AttributeError, match="no attribute 'open_store'"):
        _ = talekeeper.open_store


def test_importing_talekeeper_imports_nothing_else() -> None:
    asked = "import sys, talekeeper; print([m for m in sys.modules if m.startswith('talekeeper.')])"
    done = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


async def test_a_reply_is_followed_from_its_beginning_whenever_one_begins(tmp_path: Path) -> None:
    async with open_keeper(a_folder(tmp_path)) as keeper:
        gm = keeper.game_master()
        conversation = await gm.open_conversation()
        sent = await gm.send(conversation.id, "[[tokens 300]] [[pace 1ms]]")
        early, late = [], []
        async for words in gm.follow(sent):
            early.append(words)
            if len(early) == 3:
                async for more in gm.follow(sent):
                    late.append(more)
        after = [words async for words in gm.follow(sent)]
        assert "".join(early) == "".join(late) == "".join(after) == scripted_text(300)
        assert len(early) > 3
        assert (await gm.reply(sent)).content == scripted_text(300)
        assert await verify(keeper.store) == []


async def test_what_is_said_twice_under_one_id_is_said_once(tmp_path: Path) -> None:
    async with open_keeper(a_folder(tmp_path)) as keeper:
        gm = keeper.game_master()
        conversation = await gm.open_conversation()
        message_id = new_id()
        sent = [await gm.send(conversation.id, "Hello", message_id=message_id) for _ in range(2)]
        assert sent[0].message == sent[1].message
        await gm.reply(sent[0])
        assert len(await gm.read_path(conversation.id)) == 2


async def test_stopping_keeps_what_was_said_and_leaving_does_not_stop(tmp_path: Path) -> None:
    async with open_keeper(a_folder(tmp_path)) as keeper:
        gm = keeper.game_master()
        conversation = await gm.open_conversation()
        sent = await gm.send(conversation.id, "[[tokens 5000]] [[pace 1ms]]")
        stream = gm.follow(sent)
        first = await anext(stream)
        await stream.aclose()
        stopped = await gm.stop(sent)
        assert stopped.status == "stopped"
        assert stopped.content.startswith(first)
        assert await gm.reply(sent) == stopped
        note = await gm.send(conversation.id, "Only noted.", wants_reply=False)
        with pytest.raises(InvalidInput, match="No reply"):
            await gm.reply(note)


async def test_a_program_is_limited_as_the_page_is(tmp_path: Path) -> None:
    settings = a_folder(tmp_path).model_copy(update={"generations_per_minute": 1})
    async with open_keeper(settings) as keeper:
        gm = keeper.game_master()
        conversation = await gm.open_conversation()
        first = await gm.send(conversation.id, "[[say Aye.]]")
        await gm.reply(first)
        second = await gm.send(conversation.id, "[[say Nay.]]")
        assert second.reply is None
        assert second.limited is not None
        assert second.limited.code == "too_often"
        assert (await gm.read_path(conversation.id))[-1].content == "[[say Nay.]]"
        with pytest.raises(InvalidInput, match=r"regenerate in \d+ s"):
            await gm.reply(second)
        with pytest.raises(LimitReached, match="1 reply a minute"):
            await gm.regenerate(second.message.id)
    async with open_keeper(a_folder(tmp_path)) as keeper:
        gm = keeper.game_master()
        reply = await gm.reply(await gm.regenerate(second.message.id))
        assert (reply.content, reply.parent_id) == ("Nay.", second.message.id)


async def test_it_is_all_there_when_the_folder_is_opened_again(tmp_path: Path) -> None:
    async with open_keeper(a_folder(tmp_path)) as keeper:
        gm = keeper.game_master()
        conversation = await gm.open_conversation("The mill")
        await gm.reply(await gm.send(conversation.id, "[[say Aye.]]"))
    async with open_keeper(a_folder(tmp_path)) as keeper:
        gm = keeper.game_master()
        assert [found.title for found in await gm.conversations()] == ["The mill"]
        path = await gm.read_path(conversation.id)
        assert [message.content for message in path] == ["[[say Aye.]]", "Aye."]
        with pytest.raises(NotFound):
            await gm.conversation(new_id())
