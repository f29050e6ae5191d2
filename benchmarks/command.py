"""What both benchmarks share as commands: arguments, the servers they start, progress, and how they stop."""

from __future__ import annotations

import argparse
import contextlib
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from editor import Editor
from holes import Hole
from peer import Peer

from lsp_server.errors import KrukError
from lsp_server.model import registry
from lsp_server.model.catalogue import DEFAULT_MODEL
from lsp_server.model.memory import default_threads

Side: TypeAlias = "Editor | Peer"

STOPPED = 130  # the exit code after Ctrl-C, as a shell has it
_FIRST = Hole("first", "first.py", "python", 'def greet(name):\n    return "Hello, " + ', "name", "\n")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments that both benchmarks have."""
    parser.add_argument("--model", metavar="PATH|ID", default="", help="default: what `kruk models use` chose")
    parser.add_argument("--peer-python", metavar="PY", help="Python that has `xllamacpp`; without: Kruk alone")
    parser.add_argument("--seed", metavar="S", default="1", help="chooses the holes (default: %(default)s)")
    parser.add_argument("--json", metavar="FILE", type=Path, help="where to write everything that was measured")


def parse(parser: argparse.ArgumentParser) -> argparse.Namespace:
    """Read the command line; `model` becomes the path of a sound model file."""
    arguments = parser.parse_args()
    try:
        arguments.model = registry.locate(arguments.model or registry.default_choice() or DEFAULT_MODEL).path
    except KrukError as error:
        parser.error(str(error))
    return arguments


@contextlib.contextmanager
def sides(
    arguments: argparse.Namespace, options: dict[str, Any], trigger_kind: int, predict_ms: int | None
) -> Iterator[list[Side]]:
    """Start Kruk, and the peer when it is wanted, both on as many threads; end them whatever happens.

    Each has answered once, so that the first case does not pay for what happens once in a process.
    """
    threads = options.get("threads")
    n_threads = threads if isinstance(threads, int) and threads > 0 else default_threads()
    with contextlib.ExitStack() as stack:
        tell("starting Kruk" + (" and the peer" if arguments.peer_python else ""))
        started: list[Side] = [stack.enter_context(Editor(arguments.model, options, trigger_kind))]
        if arguments.peer_python:
            peer = Peer(arguments.peer_python, arguments.model, n_threads, predict_ms)
            started.append(stack.enter_context(peer))
        for side in started:
            side.open(_FIRST)
            side.ask()
            side.leave()
        yield started


def in_turn(started: Sequence[Side], n: int) -> list[Side]:
    """The sides, in the other order in every second case."""
    return list(started) if n % 2 == 0 else list(reversed(started))


def run(work: Callable[[], None]) -> int:
    """Do the work; return the exit code. Ctrl-C and an error end it, and what was measured by then is kept."""
    try:
        work()
    except KeyboardInterrupt:
        tell("stopped; this is what was measured so far")
        return STOPPED
    except KrukError as error:
        tell(f"error: {error}")
        return 1
    return 0


def tell(text: str) -> None:
    """Say on stderr how far it is."""
    print(text, file=sys.stderr, flush=True)
