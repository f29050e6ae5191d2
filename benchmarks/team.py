"""What a team gets from one llama.cpp server: several Kruks that use it, each typed in at once.

usage: python benchmarks/team.py --tree DIR --peer-python PY [--clients 1,2,4] [--seconds S] [--model PATH|ID]
                                 [--seed S] [--pause MS] [--json FILE]

For each number of clients a server is started, with as many slots, and as many `kruk serve` that have its address as
`kruk.remote.url`. Each client types holes of its own, as in typing_latency.py, as fast as suggestions come (or with
`--pause`, as a hand does), and begins nothing more after so many seconds. All of a round's clients share the machine
with the server: on a real one they would not.
"""

from __future__ import annotations

import argparse
import contextlib
import random
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import command
import figures
from answers import Answer
from editor import Editor
from holes import Hole, bursts, find_holes
from peer import Peer
from typing_latency import MIN_CHARS, SIZES

from lsp_server.model import registry
from lsp_server.model.memory import default_threads

N_HOLES = 24  # for each client: more than it comes to


@dataclass
class Round:
    """What so many clients got at once, in `took_s`: milliseconds that a suggestion was waited for."""

    n_clients: int
    took_s: float = 0.0
    cold_ms: list[float] = field(default_factory=list)
    warm_ms: list[float] = field(default_factory=list)

    def figures(self) -> list[tuple[str, float | None, str]]:
        """Title, figure and unit of each line."""
        return [
            ("cold, p50", figures.percentile(self.cold_ms, 0.5), "ms"),
            ("cold, p95", figures.percentile(self.cold_ms, 0.95), "ms"),
            ("warm, p50", figures.percentile(self.warm_ms, 0.5), "ms"),
            ("warm, p95", figures.percentile(self.warm_ms, 0.95), "ms"),
            ("answers a second, all clients", (len(self.cold_ms) + len(self.warm_ms)) / self.took_s, ""),
        ]


def main() -> int:
    """Measure, print a table, write the file; the exit code is 130 after Ctrl-C."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--tree", metavar="DIR", type=Path, required=True, help="source files to cut holes into")
    parser.add_argument("--clients", metavar="N,N", default="1,2,4", help="(default: %(default)s)")
    parser.add_argument(
        "--seconds", metavar="S", type=float, default=60, help="for each number (default: %(default)s)"
    )
    parser.add_argument("--pause", metavar="MS", type=float, default=0, help="rest before each burst (default: none)")
    command.add_arguments(parser)
    arguments = command.parse(parser)
    if not arguments.peer_python:
        parser.error("the server is the peer: say with --peer-python where it is")
    rounds: list[Round] = []
    code = command.run(lambda: _measure(arguments, rounds))
    for it in rounds:
        n = f"{len(it.cold_ms)} cold and {len(it.warm_ms)} warm answers in {it.took_s:.0f} s"
        print(f"\n{it.n_clients} client{'s' * (it.n_clients > 1)}: {n}")
        for title, value, unit in it.figures():
            print(f"  {title:32}{figures.figure(value, unit)}")
    if rounds and arguments.json:
        figures.save(
            arguments.json,
            machine=figures.machine() | {"xllamacpp": arguments.peer_version},
            model=arguments.model.name,
            seed=arguments.seed,
            rounds=[asdict(it) for it in rounds],
        )
    return code


def _measure(arguments: argparse.Namespace, rounds: list[Round]) -> None:
    found = registry.locate(str(arguments.model)).family
    family = found.id if found else ""  # a model file may have any name
    numbers = [int(text) for text in arguments.clients.split(",")]
    holes = find_holes(arguments.tree, max(numbers) * N_HOLES, arguments.seed, SIZES, MIN_CHARS)
    for n_clients in numbers:
        command.tell(f"clients: {n_clients}")
        with contextlib.ExitStack() as stack:
            peer = stack.enter_context(
                Peer(arguments.peer_python, arguments.model, default_threads(), n_slots=n_clients)
            )
            arguments.peer_version = peer.version
            options: dict[str, Any] = {"remote": {"url": peer.url, "patience": 120, "family": family}}
            clients = [stack.enter_context(Editor(arguments.model, options)) for _ in range(n_clients)]
            started = time.perf_counter()
            until, it = started + arguments.seconds, Round(n_clients)

            def work(n: int, clients: list[Editor] = clients, it: Round = it, until: float = until) -> None:
                own = iter(holes[n * N_HOLES : (n + 1) * N_HOLES])
                while time.perf_counter() < until and (hole := next(own, None)):
                    for n_typed, answer in enumerate(_type(clients[n], hole, arguments)):
                        if answer.waited:
                            (it.warm_ms if n_typed else it.cold_ms).append(answer.ms)
                        if time.perf_counter() > until:
                            break

            with ThreadPoolExecutor(n_clients) as pool:
                list(pool.map(work, range(n_clients)))
            it.took_s = time.perf_counter() - started
            rounds.append(it)


def _type(client: Editor, hole: Hole, arguments: argparse.Namespace) -> Iterator[Answer]:
    """Open a hole and type its text; yield what is answered to the opening, and to each burst that is not shown."""
    client.open(hole)
    answer = client.ask()
    yield answer
    shown = answer.text
    for burst in bursts(hole.middle, random.Random(f"{arguments.seed}:{hole.name}")):
        time.sleep(arguments.pause / 1e3)
        client.type(burst)
        if shown.startswith(burst) and len(shown) > len(burst):
            shown = shown[len(burst) :]
            continue
        answer = client.ask()
        yield answer
        shown = answer.text
    client.leave()


if __name__ == "__main__":
    sys.exit(main())
