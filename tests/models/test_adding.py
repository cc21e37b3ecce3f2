"""A model is on this machine whole, checked and tried, or not at all; what came of it is not lost.

The file is the small model's, served by a real HTTP server on this machine.
"""

import asyncio
import hashlib
import os
import resource
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import pytest

from models.model_server import ModelServer
from models.rewriting import with_number
from talekeeper.errors import InvalidInput, ModelBeingAdded, ModelNotAdded, NoRoomForModel
from talekeeper.providers.gguf.adding import Wanted, add_model, wanted_model
from talekeeper.providers.gguf.keeping import KeptModel, find_model, kept_models, remove_model
from talekeeper.providers.gguf.partial import Part, PartFacts, part_facts, part_path
from talekeeper.providers.gguf.tries import Tries
from talekeeper.providers.reach import Reach
from talekeeper.providers.weights import SMOLLM2, find_weights
from troubles import small_disk

SOON = Tries(stall_seconds=20, at_most=3, pause_seconds=0.01)
MEGABYTE = 1 << 20
pytestmark = pytest.mark.model


@pytest.fixture(scope="session")
def small_model(models_folder: Path) -> Path:
    return find_weights(models_folder)


@pytest.fixture
def models(tmp_path: Path) -> Path:
    return tmp_path / "data" / "models"


def from_list(address: str, **changes: object) -> Wanted:
    """What an entry of the list for the small model would say."""
    facts = {"size": SMOLLM2.size, "sha256": SMOLLM2.sha256, "checked": "list", **changes}
    return Wanted("small", PartFacts(address=f"{address}/small.gguf", **facts))  # pyright: ignore[reportArgumentType]


async def added(folder: Path, wanted: Wanted, *, reserve: int = 0) -> KeptModel:
    return await add_model(folder, wanted, tries=SOON, reserve=reserve)


def left_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


async def test_a_model_of_the_list_is_fetched_checked_and_tried(
    models: Path, small_model: Path
) -> None:
    heard: list[str] = []
    with ModelServer.of(small_model) as server:
        model = await add_model(
            models,
            from_list(server.address),
            progress=lambda doing, _done, _total: heard.append(doing),
            tries=SOON,
            reserve=0,
        )
    assert hashlib.sha256(model.path.read_bytes()).hexdigest() == SMOLLM2.sha256
    assert (model.record.checked, model.record.sha256) == ("list", SMOLLM2.sha256)
    assert model.is_tried
    assert model.window == 8192
    assert model.path.stat().st_mode & 0o777 == 0o600
    assert left_in(models) == ["small.gguf", "small.json"]
    assert list(dict.fromkeys(heard)) == ["Downloading", "Trying"]
    assert len(server.asked) == 1


async def test_a_connection_that_is_cut_goes_on_where_it_was(
    models: Path, small_model: Path
) -> None:
    with ModelServer.of(small_model, cut_after=[20 * MEGABYTE, 30 * MEGABYTE]) as server:
        model = await added(models, from_list(server.address))
    assert model.size == SMOLLM2.size
    assert [each.range is not None for each in server.asked] == [False, True, True]
    assert server.asked[1].if_range == server.etag
    assert server.sent < SMOLLM2.size + 4 * MEGABYTE


async def test_after_too_many_cuts_what_came_is_kept_for_the_next_time(
    models: Path, small_model: Path
) -> None:
    with ModelServer.of(small_model, cut_after=[30 * MEGABYTE, 0, 0, 0]) as server:
        with pytest.raises(ModelNotAdded, match="What came is kept"):
            await added(models, from_list(server.address))
        assert kept_models(models) == ()
        server.cut_after.clear()
        server.sent = 0
        await added(models, from_list(server.address))
    assert server.sent <= SMOLLM2.size - 29 * MEGABYTE


async def test_a_file_that_changed_meanwhile_begins_again(models: Path, small_model: Path) -> None:
    with ModelServer.of(small_model, cut_after=[30 * MEGABYTE, 0, 0, 0]) as server:
        wanted = wanted_model(f"{server.address}/small.gguf")
        with pytest.raises(ModelNotAdded):
            await added(models, wanted)
        server.cut_after.clear()
        server.etag = '"two"'
        server.sent = 0
        model = await added(models, wanted)
    assert server.sent == SMOLLM2.size
    assert model.record.checked is None


async def test_a_server_without_ranges_sends_the_whole_again(
    models: Path, small_model: Path
) -> None:
    with ModelServer.of(small_model, knows_ranges=False, cut_after=[30 * MEGABYTE]) as server:
        model = await added(models, from_list(server.address))
    assert hashlib.sha256(model.path.read_bytes()).hexdigest() == SMOLLM2.sha256


async def test_pieces_that_nothing_names_are_not_joined_without_a_hash(
    models: Path, small_model: Path
) -> None:
    with ModelServer.of(small_model, etag=None, cut_after=[30 * MEGABYTE]) as server:
        await added(models, wanted_model(f"{server.address}/small.gguf"))
    assert [each.range for each in server.asked] == [None, None]


async def test_a_server_that_tells_no_size_is_read_to_its_end(
    models: Path, small_model: Path
) -> None:
    with ModelServer.of(small_model, tells_size=False) as server:
        model = await added(models, wanted_model(f"{server.address}/small.gguf"))
    assert model.size == SMOLLM2.size


async def test_a_redirect_is_followed_and_the_hash_it_states_is_kept_to(
    models: Path, small_model: Path
) -> None:
    with ModelServer.of(small_model, linked_hash=SMOLLM2.sha256) as server:
        model = await added(models, wanted_model(f"{server.address}/moved/small.gguf"))
    assert (model.record.checked, model.record.sha256) == ("server", SMOLLM2.sha256)
    assert [each.path for each in server.asked] == ["/moved/small.gguf", "/small.gguf"]


async def test_a_file_of_another_hash_is_discarded(models: Path, small_model: Path) -> None:
    data = bytearray(small_model.read_bytes())
    data[-1000] ^= 1
    with (
        ModelServer(bytes(data)) as server,
        pytest.raises(InvalidInput, match="SHA-256 is .* instead of"),
    ):
        await added(models, from_list(server.address))
    assert left_in(models) == []


async def test_a_file_of_another_size_is_refused_before_it_is_fetched(
    models: Path, small_model: Path
) -> None:
    with (
        ModelServer(small_model.read_bytes()[:-1]) as server,
        pytest.raises(InvalidInput, match="it is another one"),
    ):
        await added(models, from_list(server.address))
    assert left_in(models) == []


async def test_what_is_no_model_is_refused_at_its_first_bytes(models: Path) -> None:
    with (
        ModelServer(b"<!doctype html>" * MEGABYTE) as server,
        pytest.raises(InvalidInput, match="is no GGUF model"),
    ):
        await added(models, wanted_model(f"{server.address}/small.gguf"))
    assert server.sent < 12 * MEGABYTE
    assert left_in(models) == []


@pytest.mark.parametrize(
    ("status", "words"),
    [(404, "no file at this address"), (401, "not give this file to everybody")],
)
async def test_a_server_that_has_no_file_is_told_in_words(
    models: Path, status: int, words: str
) -> None:
    with ModelServer(b"", statuses=[status]) as server, pytest.raises(InvalidInput, match=words):
        await added(models, wanted_model(f"{server.address}/small.gguf"))


async def test_a_server_that_is_busy_is_asked_again(models: Path, small_model: Path) -> None:
    with ModelServer.of(small_model, statuses=[503, 429]) as server:
        await added(models, from_list(server.address))
    assert len(server.asked) == 3


@pytest.mark.parametrize(
    "address",
    ["http://169.254.169.254/m.gguf", "ftp://example.org/m.gguf", "http://u:p@example.org/m.gguf"],
)
async def test_an_address_that_is_not_allowed_is_refused(models: Path, address: str) -> None:
    with pytest.raises(InvalidInput):
        await added(models, wanted_model(address))
    assert left_in(models) == []


async def test_a_redirect_to_an_address_that_is_not_allowed_is_refused(models: Path) -> None:
    with ModelServer(b"") as server:
        wanted = wanted_model(f"{server.address}/moved//169.254.169.254/m.gguf")
        with pytest.raises(InvalidInput, match="does not connect to 169"):
            await added(models, wanted)


async def test_a_private_address_is_refused_where_only_public_ones_are_allowed(
    models: Path,
) -> None:
    with ModelServer(b"") as server, pytest.raises(InvalidInput, match="does not connect"):
        await add_model(
            models, wanted_model(f"{server.address}/m.gguf"), reach=Reach.PUBLIC_ONLY, tries=SOON
        )
    assert server.asked == []


ON_A_SMALL_DISK = pytest.mark.skipif(
    os.geteuid() != 0 or sys.platform != "linux", reason="mounting a small disk takes root on Linux"
)


@ON_A_SMALL_DISK
async def test_without_room_nothing_is_fetched_and_the_missing_room_is_named(
    small_model: Path,
) -> None:
    with small_disk(64) as disk, ModelServer.of(small_model) as server:
        with pytest.raises(NoRoomForModel, match=r"3\d MB more are needed"):
            await added(disk / "models", from_list(server.address))
        assert server.asked == []
        assert left_in(disk / "models") == []


@ON_A_SMALL_DISK
async def test_a_disk_that_fills_meanwhile_keeps_no_half_model(small_model: Path) -> None:
    with small_disk(64) as disk, ModelServer.of(small_model, tells_size=False) as server:
        with pytest.raises(NoRoomForModel, match="Nothing of it was kept"):
            await added(disk / "models", wanted_model(f"{server.address}/small.gguf"))
        assert left_in(disk / "models") == []
        assert os.statvfs(disk).f_bfree == os.statvfs(disk).f_blocks


async def test_a_write_that_the_system_refuses_keeps_no_half_model(
    models: Path, small_model: Path
) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    with ModelServer.of(small_model) as server:
        resource.setrlimit(resource.RLIMIT_FSIZE, (40 * MEGABYTE, before[1]))
        try:
            with pytest.raises(NoRoomForModel):
                await added(models, from_list(server.address))
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert left_in(models) == []


async def test_two_at_once_fetch_it_once(models: Path, small_model: Path) -> None:
    with ModelServer.of(small_model, holds_at=20 * MEGABYTE) as server:
        first = asyncio.ensure_future(added(models, from_list(server.address)))
        await asyncio.to_thread(server.reached.wait, 30)
        with pytest.raises(ModelBeingAdded):
            await added(models, from_list(server.address))
        server.let_go.set()
        await first
        assert (await added(models, from_list(server.address))).name == "small"
    assert len(server.asked) == 1


async def test_who_cancels_keeps_what_came(models: Path, small_model: Path) -> None:
    with ModelServer.of(small_model, holds_at=40 * MEGABYTE) as server:
        adding = asyncio.ensure_future(added(models, from_list(server.address)))
        await asyncio.to_thread(server.reached.wait, 30)
        while part_path(models, "small").stat().st_size < 39 * MEGABYTE:
            await asyncio.sleep(0.01)
        adding.cancel()
        with pytest.raises(asyncio.CancelledError):
            await adding
        server.let_go.set()
        server.sent = 0
        await added(models, from_list(server.address))
        assert server.asked[-1].range is not None


async def test_who_cancels_while_a_piece_is_written_has_it_once(
    models: Path, small_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    is_writing, goes_on = threading.Event(), threading.Event()
    write = Part.write

    def slow(part: Part, data: bytes) -> None:
        write(part, data)
        if part.done > 20 * MEGABYTE and not is_writing.is_set():
            is_writing.set()
            goes_on.wait(30)

    monkeypatch.setattr(Part, "write", slow)
    with ModelServer.of(small_model) as server:
        adding = asyncio.ensure_future(added(models, from_list(server.address)))
        await asyncio.to_thread(is_writing.wait, 30)
        adding.cancel()
        asyncio.get_running_loop().call_later(0.2, goes_on.set)
        with pytest.raises(asyncio.CancelledError):
            await adding
        await added(models, from_list(server.address))
    assert len(server.asked) == 2


KILLED = """
import asyncio, sys
from pathlib import Path
from talekeeper.providers.gguf.adding import add_model, wanted_model
asyncio.run(add_model(Path(sys.argv[1]), wanted_model(sys.argv[2], sha256=sys.argv[3])))
"""


async def test_a_process_killed_in_the_middle_leaves_a_part_that_is_gone_on_with(
    models: Path, small_model: Path
) -> None:
    with ModelServer.of(small_model, holds_at=60 * MEGABYTE) as server:
        address = f"{server.address}/small.gguf"
        process = subprocess.Popen([sys.executable, "-c", KILLED, models, address, SMOLLM2.sha256])
        await asyncio.to_thread(server.reached.wait, 60)
        while (facts := part_facts(models, "small")) is None or facts.stored < 32 * MEGABYTE:
            await asyncio.sleep(0.01)
        process.kill()
        process.wait()
        assert kept_models(models) == ()
        server.let_go.set()
        model = await added(models, wanted_model(address, sha256=SMOLLM2.sha256))
    assert model.record.checked == "person"
    assert server.asked[-1].range is not None
    assert int(server.asked[-1].range[6:-1]) >= 32 * MEGABYTE


async def test_a_file_at_hand_is_copied_checked_and_tried(models: Path, small_model: Path) -> None:
    model = await added(models, wanted_model(str(small_model), name="mine"))
    assert (model.name, model.is_tried, model.licence) == ("mine", True, "apache-2.0")
    assert small_model.exists()


async def test_a_name_that_another_model_has_is_refused(models: Path, small_model: Path) -> None:
    await added(models, wanted_model(str(small_model), name="mine"))
    with pytest.raises(InvalidInput, match="There is a model named “mine” already"):
        await added(models, wanted_model("http://127.0.0.1:9/mine.gguf"))
    assert find_model(models, "mine").record.address == f"file:{small_model}"


async def test_a_removed_model_is_gone(models: Path, small_model: Path) -> None:
    await added(models, wanted_model(str(small_model), name="mine"))
    remove_model(models, "mine")
    assert left_in(models) == []


async def test_a_model_at_which_llama_cpp_ends_its_process_is_refused(
    models: Path, small_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = tmp_path / "broken.gguf"
    with_number(small_model, broken, "llama.block_count", 10_000)
    monkeypatch.setenv("TMPDIR", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", None)
    with pytest.raises(InvalidInput, match="llama.cpp cannot run this model"):
        await added(models, wanted_model(str(broken)))
    assert left_in(models) == []
    assert left_in(tmp_path / "temporary") == []
