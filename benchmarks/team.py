"""What a team gets from one llama.cpp server: several Kruks that use it, each typed in at once.

usage: python benchmarks/team.py --tree DIR --peer-python PY [--clients 1,2,4] [--cases N] [--model PATH|ID]
                                 [--seed S] [--pause MS] [--json FILE]

For each number of clients a server is started, with as many slots, and as many `kruk serve` that have its address as
`kruk.remote.url`. Each client types holes of its own, as in typing_latency.py, as fast as suggestions come (or with
`--pause`, as a hand does). All of a round's clients share the machine with the server: on a real one they would not.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import Any

import command
import figures
from editor import Editor
from holes import Hole, find_holes
from peer import Peer
from typing_latency import MIN_CHARS, SIZES, Typed, type_hole

from lsp_server.model.memory import default_threads


@dataclass(frozen=True)
class Round:
    """What so many clients got at once, in `took_s`."""

    n_clients: int
    took_s: float
    typed: list[Typed]

    def answers_ms(self, is_cold: bool) -> list[float]:
        """Waiting times."""
        asked = [[it.cold] if is_cold else it.warm for it in self.typed]
        return [answer.took_ms for answers in asked for answer in answers if answer.waited]

    def figures(self) -> list[tuple[str, float | None, str]]:
        """Title, figure and unit of each line."""
        cold, warm = self.answers_ms(True), self.answers_ms(False)
        n_scored = sum(it.n_scored for it in self.typed)
        return [
            ("cold, p50", figures.percentile(cold, 0.5), "ms"),
            ("cold, p95", figures.percentile(cold, 0.95), "ms"),
            ("warm, p50", figures.percentile(warm, 0.5), "ms"),
            ("warm, p95", figures.percentile(warm, 0.95), "ms"),
            ("answers a second, all clients", (len(cold) + len(warm)) / self.took_s, ""),
            ("line exact", sum(it.n_exact for it in self.typed) / n_scored if n_scored else None, "%"),
        ]


def main() -> int:
    """Measure, print a table, write the file; the exit code is 130 after Ctrl-C."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    command.add_tree_arguments(parser)
    parser.add_argument("--clients", metavar="N,N", default="1,2,4", help="(default: %(default)s)")
    command.add_arguments(parser)
    arguments = command.parse(parser)
    if not arguments.peer_python:
        parser.error("the server is the peer: say with --peer-python where it is")
    rounds: list[Round] = []
    code = command.run(lambda: _measure(arguments, rounds))
    for it in rounds:
        print(f"\n{it.n_clients} client{'s' * (it.n_clients > 1)}, {len(it.typed)} holes in {it.took_s:.0f} s")
        for title, figure, unit in it.figures():
            print(f"  {title:32}{figures.figure(figure, unit)}")
    if rounds and arguments.json:
        figures.save(
            arguments.json,
            machine=figures.machine() | {"xllamacpp": arguments.peer_version},
            model=arguments.model.name,
            seed=arguments.seed,
            rounds=[asdict(it) | {"figures": it.figures()} for it in rounds],
        )
    return code


def _measure(arguments: argparse.Namespace, rounds: list[Round]) -> None:
    numbers = [int(text) for text in arguments.clients.split(",")]
    holes = find_holes(arguments.tree, max(numbers) * arguments.cases, arguments.seed, SIZES, MIN_CHARS)
    for n_clients in numbers:
        command.tell(f"{n_clients} clients")
        with contextlib.ExitStack() as stack:
            peer = stack.enter_context(
                Peer(arguments.peer_python, arguments.model, default_threads(), n_slots=n_clients)
            )
            arguments.peer_version = peer.version
            options: dict[str, Any] = {"remote": {"url": peer.url, "patience": 120}}
            clients = [stack.enter_context(Editor(arguments.model, options)) for _ in range(n_clients)]

            def work(n: int, clients: list[Editor] = clients) -> list[Typed]:
                own: list[Hole] = holes[n * arguments.cases : (n + 1) * arguments.cases]
                return [type_hole(clients[n], hole, arguments.seed, arguments.pause) for hole in own]

            started = time.perf_counter()
            with ThreadPoolExecutor(n_clients) as pool:
                typed = [it for them in pool.map(work, range(n_clients)) for it in them]
            rounds.append(Round(n_clients, time.perf_counter() - started, typed))


if __name__ == "__main__":
    sys.exit(main())
