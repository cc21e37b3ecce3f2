"""Sending over HTTP: G3 against an empty server on the same stack."""

import json
from uuid import uuid4

from benchmarks.bench import Bench
from benchmarks.figures import Bound, Figure, median, percentile
from benchmarks.rulers import Flush, Wire, echo_server
from benchmarks.servers import served
from benchmarks.worlds import TEXT


def said() -> bytes:
    """A message, as a client posts it."""
    return json.dumps({"id": str(uuid4()), "content": TEXT}).encode()


async def over_http(bench: Bench) -> list[Figure]:
    """G3: a whole send over one connection, in flushes above an echo of the same body."""
    place = bench.place("sending")
    turns = bench.count(1_500, 200)
    # A reply that never comes: what is measured is the send, not the reply's own writes.
    env = {"TALEKEEPER_SCRIPTED_PACE_MS": "60000"}
    with served(place, env) as server, echo_server() as echo_port:
        wire, echo, flush = server.wire(), Wire(echo_port), Flush(place)
        conversations = [
            json.loads(wire.ask("POST", "/api/conversations", b'{"title": "A tale"}')[1])["id"]
            for _ in range(turns)
        ]
        sends: list[float] = []
        echoes: list[float] = []
        flushes: list[float] = []
        for each in conversations:
            body = said()
            echoes.append(echo.seconds("POST", "/", body))
            flushes.append(flush.seconds())
            path = f"/api/conversations/{each}/messages"
            sends.append(wire.seconds("POST", path, body, status=201))
        for each in (wire, echo, flush):
            each.close()
    bench.forget(place)
    f, echoed, sent = median(flushes), median(echoes), median(sends)
    return [
        Figure(
            "G3",
            "A whole send over HTTP, one connection",
            [Bound("over own echo", (sent - echoed) / f, "F", gate=12, goal=4, limit=2.5)],
            {
                "ms": sent * 1e3,
                "echo, ms": echoed * 1e3,
                "F, µs": f * 1e6,
                "p99, ms": percentile(sends, 0.99) * 1e3,
            },
        )
    ]
