"""How good suggestions are where they need what another file defines, with and without seeing other files.

usage: python benchmarks/cross_file.py DIR --results FILE.jsonl [--languages python,go] [--role report|develop] -n N
                                       [--sides alone,Kruk,oracle,peer] [--peer-python PY] [--model PATH|ID]
                                       [--minutes M] [--seed S]

DIR is what `sources.py` made, LANGUAGE/PACKAGE/…; holes are `kruk eval`'s, N of each of two kinds in each language:
`cross-file`, whose symbol the file names elsewhere too, be it in an import, and `hard`, whose symbol it names nowhere
else. Counted is how often the first line is exact, and how alike the two are. Every request is a cold one.

alone:   Kruk sees the file only
Kruk:    and what it chooses of the package's other files
oracle:  and, chosen by who knows the answer, the 24 lines around the symbol's definition (hard holes only)
peer:    llama.cpp's server, with the files that the file imports, or that stand beside it, as `input_extra`
shown:   no model: only whether the definition is among what Kruk would show

Each answer is a line of the results file as soon as it is there, and what is in it is not asked again: a run may be
stopped, by Ctrl-C or `--minutes`, and gone on with. All that is in the file is summed up at the end.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import command
import sources
from peer import Peer
from rich.console import Console
from rich.table import Table

from lsp_server import settings as settings_module
from lsp_server.completion.job import Flight
from lsp_server.completion.memory import Memory
from lsp_server.completion.pipeline import complete
from lsp_server.completion.request import CompletionRequest
from lsp_server.completion.trace import Trace
from lsp_server.context.index import Index
from lsp_server.context.pieces import Piece
from lsp_server.context.projects import Project
from lsp_server.context.relevance import Chosen, Place
from lsp_server.context.scope import Scopes
from lsp_server.context.window import place as put_window
from lsp_server.context.workspace import Workspace, nearest
from lsp_server.errors import KrukError
from lsp_server.evaluation import figures
from lsp_server.evaluation.holes import Hole, cut_holes
from lsp_server.evaluation.project import Project as Copy
from lsp_server.evaluation.score import score
from lsp_server.evaluation.symbols import Symbols
from lsp_server.model.base import BRANCH, COMPLETION, NEAR, SPARE, Model
from lsp_server.model.loading import loader_for
from lsp_server.model.memory import default_threads
from lsp_server.model.worker import Steps, Urgency, Worker
from lsp_server.text import Document

KINDS = ("cross-file", "hard")
SIDES = ("shown", "alone", "Kruk", "oracle", "peer")
FAMILY = {"typescript": ("typescript", "tsx")}  # languages that are one folder of sources
ORACLE_LINES, ORACLE_LINES_ABOVE = 24, 4
MOST_OPEN, MOST_OPEN_CHARS = 8, 7_000  # of files that the peer is given: it refuses what its context cannot hold
INDEX_PATIENCE_S = 300


@dataclass(frozen=True)
class Case:
    """One answer. `definition`: whether the symbol's definition was among what was shown; None: not known."""

    language: str
    package: str
    hole: str
    kind: str
    symbol: str
    side: str
    wanted: str = ""
    text: str = ""
    exact: bool | None = None
    similarity: float | None = None
    definition: bool | None = None
    ms: float | None = None
    trace: dict[str, Any] | None = None

    @property
    def place(self) -> tuple[str, str, str, str]:
        """What is asked, whoever is."""
        return self.language, self.package, self.hole, self.kind


@dataclass(frozen=True)
class Package:
    """One package: a copy of its files, indexed, and what they define."""

    name: str
    root: Path
    symbols: Symbols
    index: Index

    def document(self, hole: Hole) -> Document:
        return Document((self.root / hole.file).as_uri(), hole.language_id, 1, hole.prefix + hole.suffix)

    def definitions(self, hole: Hole) -> list[tuple[str, int]]:
        """Where a hole's symbol is defined, as (path, first line), the nearest file first."""
        found = dict(reversed(self.symbols.definitions(hole.file, hole.symbol)))
        return [(path, found[path]) for path in nearest(found, hole.file)]


class _Fixed:
    """Stands for the session's projects: one project, whose choice is given or its own."""

    def __init__(self, package: Package, chosen: Chosen | None) -> None:
        self._project = Project(package.name, package.index)
        self._chosen = chosen
        self.name = package.name
        self.last: Chosen | None = None

    def of(self, _root: str | None) -> _Fixed:
        return self

    def choose(self, place: Place, budget: int, before: Chosen | None) -> Chosen:
        self.last = self._chosen or self._project.choose(place, budget, before)
        return self.last


class Kruk:
    """Kruk's own pipeline and model in this process, so that it can be told what to show."""

    def __init__(self, model: Path) -> None:
        self._settings = {
            is_shown: settings_module.read({"model": str(model), "context.enabled": is_shown}).settings
            for is_shown in (True, False)
        }
        self._worker = Worker(lambda _: None)
        self._worker.load(loader_for(self._settings[True]))

    def ask(self, hole: Hole, package: Package, side: str) -> Case:
        """Ask for a suggestion in a file that was never seen."""
        self._worker.submit(Urgency.COMPLETION, _forget).result()
        document = package.document(hole)
        projects = _Fixed(package, _oracle(hole, package) if side == "oracle" else None)
        memory = Memory(projects=projects)  # type: ignore[arg-type]
        request = CompletionRequest(document, len(hole.prefix), hole.file, "invoked", package.root.as_uri())
        trace = Trace(1, document.uri, "invoked")
        began = time.perf_counter()
        text = asyncio.run(complete(Flight(request, trace), self._settings[side != "alone"], self._worker, memory))
        ms = (time.perf_counter() - began) * 1e3
        rooms = {room["room"]: room for room in trace.as_dict()["rooms"]}
        is_near = rooms.get("prompt", {}).get("window") == "near"
        shown = projects.last and (projects.last.near if is_near else projects.last.pieces)
        told = {
            "window": rooms.get("prompt", {}).get("window"),
            "tokens": rooms.get("prompt", {}).get("promptTokens"),
        }
        return _case(hole, package, side, text, ms, _is_among(hole, package, shown or ()), told)

    def close(self) -> None:
        """Free the model."""
        self._worker.close()


def main() -> int:
    """Measure what is not in the results yet, sum up what is; the exit code is 130 after Ctrl-C."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("folder", metavar="DIR", type=Path, help="what sources.py made")
    parser.add_argument("--results", metavar="FILE.jsonl", type=Path, required=True, help="answers are added to it")
    parser.add_argument("--languages", metavar="A,B", default="python,typescript,go,rust,java")
    parser.add_argument("--role", choices=("report", "develop"), default="report", help="which packages")
    parser.add_argument("-n", metavar="N", type=int, default=50, help="holes of a kind and language (default: 50)")
    parser.add_argument("--sides", metavar="A,B", default="alone,Kruk,oracle", help=f"of {', '.join(SIDES)}")
    parser.add_argument("--peer-python", metavar="PY", help="Python that has `xllamacpp`")
    parser.add_argument("--minutes", metavar="M", type=float, default=float("inf"), help="stop after about so long")
    parser.add_argument("--seed", metavar="S", default="1", help="chooses the holes (default: %(default)s)")
    command.add_model_argument(parser)
    arguments = command.parse(parser)
    arguments.sides = [side for side in SIDES if side in arguments.sides.split(",")]
    if "peer" in arguments.sides and not arguments.peer_python:
        parser.error("the peer needs --peer-python")
    code = command.run(lambda: _measure(arguments))
    cases = read(arguments.results)
    wanted = {*arguments.languages.split(",")}
    show([case for case in cases if case.language in wanted])
    return code


def read(results: Path) -> list[Case]:
    """The answers so far."""
    lines = results.read_text(encoding="utf-8").splitlines() if results.exists() else []
    return [Case(**json.loads(line)) for line in lines]


def show(cases: Sequence[Case]) -> None:
    """Print the figures of each language, kind and side. Only holes that all of them were asked are compared."""
    table = Table(title="First lines of cross-file holes, with what they lie in (95 %)", title_justify="left")
    for title in ("language", "holes", "side", "n", "line exact", "edit similarity", "definition shown", "p50"):
        table.add_column(title, justify="left" if title in ("language", "holes", "side") else "right")
    for language in [*dict.fromkeys(case.language for case in cases), "all"]:
        mine = [case for case in cases if language in (case.language, "all")]
        for kind in (*KINDS, "both"):
            for side in SIDES:
                them = [case for case in mine if case.side == side and kind in (case.kind, "both")]
                if them and not (side == "oracle" and kind != "hard"):
                    table.add_row(language, kind, side, str(len(them)), *_figures(them))
        for line in _ratios(mine):
            table.add_row(language, "both", line)
        table.add_section()
    Console(width=140).print(table)


def _figures(cases: Sequence[Case]) -> list[str]:
    exact = [case.exact for case in cases if case.exact is not None]
    alike = [case.similarity for case in cases if case.similarity is not None]
    known = [case.definition for case in cases if case.definition is not None]
    times = [case.ms for case in cases if case.ms is not None]
    return [
        f"{sum(exact)} = {figures.figure(figures.mean(exact), '%', figures.wilson(sum(exact), len(exact)))}"
        if exact
        else "",
        figures.figure(figures.mean(alike), "%", figures.bootstrap(alike, "1")) if alike else "",
        f"{sum(known)} of {len(known)}" if known else "",
        figures.figure(figures.percentile(times, 0.5), "ms") if times else "",
    ]


def _ratios(cases: Sequence[Case]) -> Iterator[str]:
    """Exact lines of Kruk ÷ those of another side, on the holes that both were asked."""
    by_side = {side: {case.place: case for case in cases if case.side == side} for side in SIDES}
    for other in ("alone", "oracle", "peer"):
        places = by_side["Kruk"].keys() & by_side[other].keys()
        if places:
            kruk, rival = (sum(bool(by_side[side][at].exact) for at in places) for side in ("Kruk", other))
            ratio = f"{kruk / rival:.2f}" if rival else "–"
            yield f"Kruk ÷ {other}: {kruk} ÷ {rival} = {ratio} ({len(places)} holes)"


def _measure(arguments: argparse.Namespace) -> None:
    until = time.monotonic() + 60 * arguments.minutes
    done = {(*case.place, case.side) for case in read(arguments.results)}
    kruk = Kruk(arguments.model) if {*arguments.sides} & {"alone", "Kruk", "oracle"} else None
    peer = None
    try:
        if "peer" in arguments.sides:
            peer = Peer(arguments.peer_python, arguments.model, default_threads())
        with tempfile.TemporaryDirectory(prefix="kruk-cross-file-") as own:
            for language in arguments.languages.split(","):
                _measure_language(arguments, language, Path(own), kruk, peer, done, until)
    finally:
        if kruk:
            kruk.close()
        if peer:
            peer.close()


def _measure_language(
    arguments: argparse.Namespace,
    language: str,
    work: Path,
    kruk: Kruk | None,
    peer: Peer | None,
    done: set[tuple[str, ...]],
    until: float,
) -> None:
    if time.monotonic() > until:
        return
    packages, holes = _cut(arguments, language, work)
    try:
        for n, (package, hole) in enumerate(holes, 1):
            for side in arguments.sides:
                key = (language, package.name, hole.name, hole.kind, side)
                if key in done or (side == "oracle" and hole.kind != "hard"):
                    continue
                if time.monotonic() > until:
                    return
                case = _ask(hole, package, side, kruk, peer)
                with arguments.results.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(asdict(case) | {"language": language}, ensure_ascii=False) + "\n")
                verdict = "" if case.exact is None else "exact" if case.exact else "other"
                command.tell(f"{language} {n}/{len(holes)} {hole.kind}, {side}: {verdict} {hole.name}")
    finally:
        for package in packages:
            package.index.stop()


def _cut(
    arguments: argparse.Namespace, language: str, work: Path
) -> tuple[list[Package], list[tuple[Package, Hole]]]:
    """The packages of a language, and N holes of each kind, the packages in turn."""
    packages, found = [], []
    names = [row.folder for row in sources.sources() if (row.language, row.role) == (language, arguments.role)]
    for name in names:
        folder = arguments.folder / language / name
        if not folder.is_dir():
            command.tell(f"`{folder}` is not there and left out; sources.py fetches it")
            continue
        copy = Copy(folder, work / language / name)
        files, symbols = copy.sources(FAMILY.get(language, (language,)), arguments.seed, lambda _at, _of: None)
        index = Index(copy.root)
        index.start()
        package = Package(name, copy.root, symbols, index)
        packages.append(package)
        found.append([(package, hole) for hole in cut_holes(files, symbols, arguments.n, arguments.seed, KINDS)])
    for package in packages:
        if not package.index.wait(INDEX_PATIENCE_S):
            raise KrukError(f"`{package.root}` was not indexed within {INDEX_PATIENCE_S} s")
    holes = []
    for kind in KINDS:
        mine = [[it for it in them if it[1].kind == kind] for them in found]
        in_turn = [them[i] for i in range(arguments.n) for them in mine if i < len(them)]
        holes.append(in_turn[: arguments.n])
    return packages, [them[i] for i in range(arguments.n) for them in holes if i < len(them)]


def _ask(hole: Hole, package: Package, side: str, kruk: Kruk | None, peer: Peer | None) -> Case:
    if side == "shown":
        chosen = _Fixed(package, None).choose(_place(hole, package), 512, None)
        told = {"full": _is_among(hole, package, chosen.pieces)}
        return _case(hole, package, side, None, None, _is_among(hole, package, chosen.near), told)
    if side == "peer":
        assert peer is not None
        peer.open(hole, _open_files(hole, package))
        answer = peer.ask()
        return _case(hole, package, side, answer.text, answer.ms, None, {"promptTokens": answer.n_evaluated})
    assert kruk is not None
    return kruk.ask(hole, package, side)


def _case(
    hole: Hole, package: Package, side: str, text: str | None, ms: float | None, definition: bool | None, told: Any
) -> Case:
    judged = None if text is None else score(hole, text)
    return Case(
        hole.language_id,
        package.name,
        hole.name,
        hole.kind,
        hole.symbol,
        side,
        hole.middle,
        text or "",
        judged.exact if judged else None,
        judged.similarity if judged else None,
        definition,
        ms,
        told,
    )


def _oracle(hole: Hole, package: Package) -> Chosen:
    """The lines around the definition of what is missing."""
    for path, start in package.definitions(hole):
        lines = Workspace(package.index).lines(path)
        first = max(0, start - ORACLE_LINES_ABOVE)
        text = "\n".join(lines[first : first + ORACLE_LINES])
        pieces = (Piece(path, text, "oracle", 1.0, path),)
        return Chosen(pieces, near=pieces)
    return Chosen()


def _is_among(hole: Hole, package: Package, pieces: Sequence[Piece]) -> bool:
    paths = {path for path, _start in package.definitions(hole)}
    return any(piece.path in paths and hole.symbol in piece.text for piece in pieces)


def _open_files(hole: Hole, package: Package) -> list[tuple[str, str]]:
    """(path, text) of what a file imports and what stands beside it, the likeliest last: the peer cuts in front."""
    workspace = Workspace(package.index).with_document(hole.file, package.document(hole))
    scope = Scopes(workspace).of(hole.file)
    beside = [path for path in workspace.in_folder(hole.file.rpartition("/")[0]) if path != hole.file]
    paths = list(dict.fromkeys([*scope.imported_paths, *beside]))[:MOST_OPEN]
    found, left = [], MOST_OPEN_CHARS
    for path in paths:
        text = "\n".join(workspace.lines(path))[:left]
        left -= len(text)
        found += [(path, text)] if text else []
    return found[::-1]


def _place(hole: Hole, package: Package) -> Place:
    document = package.document(hole)
    window = put_window(document.text, len(hole.prefix), 1024, 8, None, hole.language).window
    return Place(hole.file, document, len(hole.prefix), (window.start, window.end))


def _forget(model: Model) -> Steps[None]:
    """Let nothing be found in the KV cache."""
    for sequence in (COMPLETION, NEAR, SPARE):
        model.copy(BRANCH, sequence, 0)
    yield from ()


if __name__ == "__main__":
    sys.exit(main())
