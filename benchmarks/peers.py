"""python -m benchmarks.peers [--turns N]: G6, a whole turn against SillyTavern and Open WebUI.

Both are installed from the registries into a cache folder, run here, and asked for what their own
pages ask for in a turn. Open WebUI and ours are sent one message, ask the same provider, which
answers at once with forty words, and the turn is over when the reply is on disk. SillyTavern's page
asks the provider by itself and saves the whole chat twice, after what was said and after the reply:
the saves alone are counted. The three take turns.
"""

import argparse
import asyncio
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
import venv
from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import psutil

from benchmarks import report
from benchmarks.__main__ import DOCS, FOLDER, machine
from benchmarks.bench import Bench
from benchmarks.figures import Bound, Figure, median
from benchmarks.rulers import Wire
from benchmarks.servers import TOKEN, served
from benchmarks.streaming import provider, through
from benchmarks.worlds import TEXT

SILLYTAVERN: Final = "sillytavern@1.19.0"
OPEN_WEBUI: Final = "open-webui==0.12.4"
CACHE: Final = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "talekeeper-peers"
LENGTHS: Final = (100, 1_000, 10_000)

Turn = Callable[[], float]
"""One whole turn; the seconds that it took."""
_WORDS: Final = 40
_ORDER: Final = f"tokens={_WORDS} ms=0"
"""What the provider is told to answer."""


def installed_sillytavern() -> Path | None:
    """Where it is installed; None where there is no Node."""
    place = CACHE / "sillytavern" / "node_modules" / "sillytavern"
    if not (place / "server.js").exists():
        if not shutil.which("npm"):
            return None
        place.parents[1].mkdir(parents=True, exist_ok=True)
        _say(f"installing {SILLYTAVERN}")
        subprocess.run(
            [
                "npm",
                "install",
                "--no-audit",
                "--no-fund",
                "--prefix",
                place.parents[1],
                SILLYTAVERN,
            ],
            check=True,
            stdout=sys.stderr,
        )
    return place


def installed_open_webui() -> Path | None:
    """Its command; None where it cannot be had."""
    place = CACHE / "open-webui"
    command = place / "bin" / "open-webui"
    if not command.exists():
        _say(f"installing {OPEN_WEBUI}: 7 GB, which takes a while")
        venv.create(place, with_pip=True)
        python = place / "bin" / "python"
        done = subprocess.run([python, "-m", "pip", "install", "--quiet", OPEN_WEBUI], check=False)
        if done.returncode:
            return None
    return command


@contextmanager
def sillytavern(place: Path, folder: Path) -> Generator[tuple[int, int]]:
    """Its port, and the process."""
    port = _free_port()
    words = ["node", place / "server.js", "--port", str(port), "--dataRoot", folder / "data"]
    words += ["--configPath", folder / "config.yaml", "--disableCsrf", "--no-whitelist"]
    words += ["--browserLaunchEnabled", "false", "--listen", "false"]
    with _running(words, folder, {}) as pid:
        _await_answer(f"http://127.0.0.1:{port}/csrf-token", 300)
        yield port, pid


@contextmanager
def open_webui(command: Path, folder: Path, asked: int) -> Generator[tuple[int, int]]:
    """Its port, and the process. `asked` is the port of its provider."""
    port = _free_port()
    env = {
        "DATA_DIR": str(folder / "data"),
        "WEBUI_AUTH": "False",
        "WEBUI_SECRET_KEY": "to measure with",
        "OFFLINE_MODE": "true",
        "HF_HUB_OFFLINE": "1",
        "ENABLE_OLLAMA_API": "false",
        "OPENAI_API_BASE_URL": f"http://127.0.0.1:{asked}/v1",
        "OPENAI_API_KEY": "none",
        "RAG_EMBEDDING_ENGINE": "openai",
        "SCARF_NO_ANALYTICS": "true",
        "ANONYMIZED_TELEMETRY": "false",
    }
    (folder / "data").mkdir(parents=True, exist_ok=True)
    words = [command, "serve", "--host", "127.0.0.1", "--port", str(port)]
    with _running(words, folder, env) as pid:
        _await_answer(f"http://127.0.0.1:{port}/health", 400)
        yield port, pid


def sillytavern_turn(port: int, length: int) -> Turn:
    """A turn in a chat of that length."""
    now = "2026-01-01T00:00:00.000Z"
    chat: list[dict[str, Any]] = [
        {"user_name": "Game master", "character_name": "Seraphina", "chat_metadata": {}}
    ]

    def add(name: str, *, is_user: bool) -> None:
        chat.append(
            {
                "name": name,
                "is_user": is_user,
                "is_system": False,
                "send_date": now,
                "mes": f"{len(chat)}. {TEXT}",
                "extra": {},
            }
        )

    for number in range(length):
        add("Game master" if number % 2 == 0 else "Seraphina", is_user=number % 2 == 0)

    def save(wire: Wire) -> None:
        body = {
            "avatar_url": "Seraphina.png",
            "ch_name": "Seraphina",
            "file_name": f"of {length}",
            "chat": chat,
            "force": True,
        }
        status, said = wire.ask("POST", "/api/chats/save", json.dumps(body).encode())
        assert status == 200, said[:300]

    def turn() -> float:
        wire = Wire(port)
        began = time.perf_counter()
        add("Game master", is_user=True)
        save(wire)
        add("Seraphina", is_user=False)
        save(wire)
        took = time.perf_counter() - began
        wire.close()
        return took

    return turn


def open_webui_turn(port: int, length: int) -> Turn:
    """A turn in a chat of that length: its page sends what was said, and its server saves."""
    login = Wire(port)
    status, said = login.ask("POST", "/api/v1/auths/signin", b'{"email": "", "password": ""}')
    assert status == 200, said[:300]
    me = json.loads(said)
    messages: dict[str, dict[str, Any]] = {}
    last: str | None = None
    for number in range(length):
        message = _open_webui_message(
            last, "assistant" if number % 2 else "user", f"{number}. {TEXT}"
        )
        messages[message["id"]] = message | {"done": True, "model": "m"}
        if last is not None:
            messages[last]["childrenIds"] = [message["id"]]
        last = message["id"]
    chat = {
        "title": "A tale",
        "models": ["m"],
        "params": {},
        "files": [],
        "history": {"messages": messages, "currentId": last},
        "messages": list(messages.values()),
    }
    status, said = Wire(port, me["token"]).ask(
        "POST", "/api/v1/chats/new", json.dumps({"chat": chat}).encode()
    )
    assert status == 200, said[:300]
    chat_id = json.loads(said)["id"]

    def turn() -> float:
        nonlocal last
        wire = Wire(port, me["token"])
        reply = str(uuid4())
        message = _open_webui_message(last, "user", f"{TEXT} {_ORDER}")
        body = {
            "stream": True,
            "model": "m",
            "session_id": "a page",
            "chat_id": chat_id,
            "id": reply,
            "message_ids": [{"model_id": "m", "message_id": reply, "modelIdx": 0}],
            "parent_id": last,
            "user_message": message | {"childrenIds": [reply], "user_id": me["id"]},
            "background_tasks": {},
        }
        began = time.perf_counter()
        status, said = wire.ask("POST", "/api/chat/completions", json.dumps(body).encode())
        assert status == 200, said[:300]
        while json.loads(wire.ask("GET", f"/api/tasks/chat/{chat_id}")[1])["task_ids"]:
            time.sleep(0.002)
        took = time.perf_counter() - began
        stored = json.loads(wire.ask("GET", f"/api/v1/chats/{chat_id}")[1])
        kept = stored["chat"]["history"]["messages"][reply]["content"]
        assert len(kept.split()) == _WORDS, f"it kept {kept[:300]!r}"
        wire.close()
        last = reply
        return took

    return turn


def _open_webui_message(parent: str | None, role: str, content: str) -> dict[str, Any]:
    return {
        "id": str(uuid4()),
        "parentId": parent,
        "childrenIds": [],
        "role": role,
        "content": content,
        "timestamp": 1_767_225_600,
        "models": ["m"],
    }


def our_turn(port: int, conversation_id: str) -> Turn:
    """A turn in a conversation: one message is sent, and its reply is on disk."""
    stream = socket.create_connection(("127.0.0.1", port))
    stream.sendall(
        (
            f"GET /api/conversations/{conversation_id}/events HTTP/1.1\r\nHost: 127.0.0.1:{port}"
            f"\r\nAuthorization: Bearer {TOKEN}\r\n\r\n"
        ).encode()
    )
    while b"event: ready" not in stream.recv(1 << 16):
        pass

    def turn() -> float:
        body = json.dumps({"id": str(uuid4()), "content": f"{TEXT} {_ORDER}"}).encode()
        wire = Wire(port, TOKEN)  # the last one's patience may have ended during the others' turns
        began = time.perf_counter()
        status, said = wire.ask("POST", f"/api/conversations/{conversation_id}/messages", body)
        wire.close()
        assert status == 201, said[:300]
        reply = json.loads(said)["reply"]["id"].encode()
        heard = b""
        while True:
            heard += stream.recv(1 << 18)
            if any(
                b'"id":"' + reply in line and b'"status":"complete"' in line.split(reply, 1)[1]
                for line in heard.split(b"\n")
            ):
                return time.perf_counter() - began

    return turn


async def turns(bench: Bench, count: int) -> Figure:
    """G6: whole turns, taken in turn."""
    place, tales = await bench.copy_of(*LENGTHS)
    seen: dict[str, dict[int, list[float]]] = {}
    written: dict[str, float] = {}
    notes: list[str] = []
    with ExitStack() as stack:
        asked = stack.enter_context(provider())
        server = stack.enter_context(served(place, through(asked)))
        makers: dict[str, tuple[int, Callable[[int], Turn]]] = {
            "ours": (
                server.pid,
                lambda n: our_turn(server.port, tales[LENGTHS.index(n)].id),
            )
        }
        if (found := installed_sillytavern()) is not None:
            _say("starting SillyTavern")
            port, pid = stack.enter_context(sillytavern(found, bench.place("sillytavern")))
            makers["SillyTavern"] = pid, lambda n, port=port: sillytavern_turn(port, n)
        else:
            notes.append("SillyTavern needs Node, which is not here.")
        if (found := installed_open_webui()) is not None:
            _say("starting Open WebUI")
            port2, pid2 = stack.enter_context(open_webui(found, bench.place("open-webui"), asked))
            makers["Open WebUI"] = pid2, lambda n: open_webui_turn(port2, n)
        else:
            notes.append("Open WebUI could not be installed.")
        for length in LENGTHS:
            acts = {name: make(length) for name, (_, make) in makers.items()}
            for act in acts.values():
                act()
            rounds = max(3, count // 3) if length > 1_000 else count
            for turn in range(rounds):
                for name, act in acts.items():
                    before = _written(makers[name][0])
                    seen.setdefault(name, {}).setdefault(length, []).append(act())
                    if turn == rounds - 1:
                        written[f"{name} at {length:,}"] = _written(makers[name][0]) - before
            shown = {name: f"{median(each[length]) * 1e3:.1f} ms" for name, each in seen.items()}
            _say(f"{length:,} messages: {shown}")
    bench.forget(place)
    most = LENGTHS[-1]
    ours = median(seen["ours"][most])
    gates = {"SillyTavern": (15.0, 150.0), "Open WebUI": (300.0, 3_000.0)}
    return Figure(
        "G6",
        f"A whole turn at {most:,} messages",
        [
            Bound(
                f"faster than {name}",
                median(seen[name][most]) / ours,
                "×",
                *gates[name],
                None,
                "more",
            )
            for name in gates
            if name in seen
        ],
        {
            **{
                f"{name} at {length:,}, ms": median(times) * 1e3
                for name, each in seen.items()
                for length, times in each.items()
            },
            **{f"{name}, KiB written": value / 1024 for name, value in written.items()},
        },
        curves={
            f"a turn, {name}": [(length, median(times) * 1e3) for length, times in each.items()]
            for name, each in seen.items()
        },
        note=" ".join(notes),
    )


def _written(pid: int) -> float:
    try:
        return psutil.Process(pid).io_counters().write_bytes
    except (psutil.Error, AttributeError):
        return 0.0


@contextmanager
def _running(words: list[Any], folder: Path, env: dict[str, str]) -> Generator[int]:
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            words,
            cwd=folder,
            env={**os.environ, **env},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    try:
        yield process.pid
    except BaseException:
        sys.stderr.write((folder / "log").read_text(errors="replace")[-3_000:])
        raise
    finally:
        for child in psutil.Process(process.pid).children(recursive=True):
            child.kill()
        process.kill()
        process.wait()


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def _await_answer(url: str, seconds: float) -> None:
    until = time.monotonic() + seconds
    while True:
        try:
            urllib.request.urlopen(url, timeout=5).close()  # noqa: S310 - this machine's own
        except urllib.error.HTTPError:
            return
        except OSError:
            if time.monotonic() > until:
                raise
            time.sleep(0.2)
        else:
            return


def _say(text: str) -> None:
    print(f"    {time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(prog="benchmarks.peers", description=__doc__)
    parser.add_argument("--turns", type=int, default=20)
    given = parser.parse_args()
    if given.turns < 1:
        parser.error("--turns takes a number from 1 on")
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # leave no server behind
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="talekeeper-peers-") as folder:
        figure = asyncio.run(turns(Bench(Path(folder), is_quick=False), given.turns))
    print(report.in_a_line(figure))
    run: dict[str, Any] = {
        "command": "make bench-peers",
        "at": time.strftime("%Y-%m-%d"),
        "seconds": round(time.monotonic() - began),
        "quick": False,
        "machine": machine(),
        "broken": [],
        "figures": [figure.as_json()],
    }
    report.write(FOLDER / "peers", run)
    report.write_docs(DOCS, run, section="peers")
    return 0 if figure.holds else 1


if __name__ == "__main__":
    sys.exit(main())
