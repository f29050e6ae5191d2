"""What the benchmarks share as commands: arguments, the servers they start, progress, their end, and the report."""

from __future__ import annotations

import argparse
import contextlib
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

import figures
import plots
from editor import Editor
from figures import Panel, Row
from holes import Hole
from peer import PREDICT_MS, Peer

from lsp_server.errors import KrukError
from lsp_server.model import registry
from lsp_server.model.base import Model
from lsp_server.model.catalogue import DEFAULT_MODEL
from lsp_server.model.loading import loader_for
from lsp_server.model.memory import default_threads
from lsp_server.model.worker import Steps
from lsp_server.settings import read

T = TypeVar("T")
Side: TypeAlias = "Editor | Peer"

KRUK, PEER = Editor.name, Peer.name
STOPPED = 130  # the exit code after Ctrl-C, as a shell has it
_FIRST = Hole("first", "first.py", "python", 'def greet(name):\n    return "Hello, " + ', "name", "\n")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of a benchmark that starts servers."""
    add_model_argument(parser)
    parser.add_argument("--peer-python", metavar="PY", help="Python that has `xllamacpp`; without: Kruk alone")
    parser.add_argument("--seed", metavar="S", default="1", help="chooses the holes (default: %(default)s)")
    add_output_arguments(parser)


def add_model_argument(parser: argparse.ArgumentParser) -> None:
    """Add `--model`."""
    parser.add_argument("--model", metavar="PATH|ID", default="", help="default: what `kruk models use` chose")


def add_output_arguments(parser: argparse.ArgumentParser) -> None:
    """Add where the results go."""
    parser.add_argument("--json", metavar="FILE", type=Path, help="where to write everything that was measured")
    parser.add_argument("--plot", metavar="FILE.svg", type=Path, help="where to draw the summary")


def add_journal_arguments(parser: argparse.ArgumentParser) -> None:
    """Add where every case is kept at once, so that the benchmark can be stopped and taken up again."""
    parser.add_argument(
        "--journal", metavar="FILE", type=Path, help="keeps each case; what is there is not done again"
    )
    parser.add_argument("--minutes", metavar="M", type=float, help="stop after so long")


def parse(parser: argparse.ArgumentParser) -> argparse.Namespace:
    """Read the command line; `model` becomes the path of a sound model file."""
    arguments = parser.parse_args()
    arguments.peer_version = None  # until it has started
    try:
        arguments.model = registry.locate(arguments.model or registry.default_choice() or DEFAULT_MODEL).path
    except KrukError as error:
        parser.error(str(error))
    return arguments


def load(arguments: argparse.Namespace) -> Model:
    """Load the model into this process, for what needs no server."""
    tell("loading the model")
    return loader_for(read({"model": str(arguments.model)}).settings)(lambda _: None, lambda: True)


@contextlib.contextmanager
def started(
    arguments: argparse.Namespace,
    name: str,
    options: dict[str, Any],
    trigger_kind: int = 1,
    predict_ms: int | None = PREDICT_MS,
    home: Path | None = None,
    sources: Path | None = None,
) -> Iterator[Side]:
    """Start Kruk or the peer, on as many threads as the other; end it whatever happens.

    `home`, `sources`: where Kruk keeps its files, and the workspace; None: a new folder. The side has answered once,
    so that the first case does not pay for what happens once in a process.
    """
    threads = options.get("threads")
    n_threads = threads if isinstance(threads, int) and threads > 0 else default_threads()
    side: Side
    if name == KRUK:
        side = Editor(arguments.model, options, trigger_kind, sources, home)
    else:
        side = Peer(arguments.peer_python, arguments.model, n_threads, predict_ms)
        arguments.peer_version = side.version
    with side:
        side.open(_FIRST)
        side.ask()
        side.leave()
        yield side


@contextlib.contextmanager
def sides(
    arguments: argparse.Namespace,
    options: dict[str, Any],
    trigger_kind: int = 1,
    predict_ms: int | None = PREDICT_MS,
    sources: Path | None = None,
) -> Iterator[list[Side]]:
    """Start Kruk, and the peer when it is wanted."""
    tell("starting Kruk" + (" and the peer" if arguments.peer_python else ""))
    with contextlib.ExitStack() as stack:
        yield [
            stack.enter_context(started(arguments, name, options, trigger_kind, predict_ms, sources=sources))
            for name in names(arguments)
        ]


def names(arguments: argparse.Namespace) -> list[str]:
    """The sides that are wanted."""
    return [KRUK, PEER] if arguments.peer_python else [KRUK]


def in_turn(them: Sequence[T], n: int) -> list[T]:
    """The sides, in the other order in every second case."""
    return list(them) if n % 2 == 0 else list(reversed(them))


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


def finish(steps: Steps[T]) -> T:
    """Step a job for the model to its end, with nobody cutting in."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value


def add_tree_arguments(parser: argparse.ArgumentParser) -> None:
    """Add where the holes are cut, how many, and how often."""
    parser.add_argument("--tree", metavar="DIR", type=Path, required=True, help="source files to cut holes into")
    parser.add_argument("--cases", metavar="N", type=int, default=8, help="holes (default: %(default)s)")
    parser.add_argument("--runs", metavar="R", type=int, default=1, help="with the same holes (default: %(default)s)")
    parser.add_argument("--pause", metavar="MS", type=float, default=0, help="rest before each burst (default: none)")


def report(
    arguments: argparse.Namespace,
    title: str,
    subtitle: str,
    rows: Sequence[Row],
    panels: Sequence[Panel],
    **parts: Any,
) -> None:
    """Print the summary; write and draw it where that is wanted. `parts` are kept with it in the file."""
    figures.show(rows, f"{title}: {subtitle}")
    result = {
        "title": title,
        "subtitle": subtitle,
        "machine": figures.machine() | {"xllamacpp": getattr(arguments, "peer_version", None)},
        "panels": [asdict(panel) for panel in panels],
        "summary": [asdict(row) for row in rows],
        **parts,
    }
    if arguments.json:
        figures.save(arguments.json, **result)
    if arguments.plot:
        plots.save(result, arguments.plot)


def tell(text: str) -> None:
    """Say on stderr how far it is."""
    print(text, file=sys.stderr, flush=True)
