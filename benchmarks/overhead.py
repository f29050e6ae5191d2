"""What Kruk itself costs at each burst of typing, in large files, with a model that takes no time.

usage: python benchmarks/overhead.py --tree DIR [--lines N,N] [--language ID] [--cases N] [--crlf] [--seed S]
                                     [--json FILE]

Files of about so many lines are put together from whole source files below DIR, one for each language that has
enough. At holes in them text is typed in bursts of 1 to 6 characters. Each burst is an edit of the document, and a
request that goes through every room of the pipeline: its suggestion is right or belongs to another place, by turns,
and is forgotten afterwards, so that no request ends at the cache. The model is the tests' own, with bytes for tokens;
what it does is left out of "outside the model", the making of the prompt with its tokenizer is in it.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import command
import figures
from figures import Panel, Row
from holes import bursts
from rich.console import Console
from rich.table import Table

from lsp_server.completion.job import Flight
from lsp_server.completion.memory import Memory
from lsp_server.completion.pipeline import complete
from lsp_server.completion.request import CompletionRequest
from lsp_server.completion.trace import Trace
from lsp_server.errors import KrukError
from lsp_server.evaluation.holes import cut_lines
from lsp_server.model.fake import FakeModel, knowing
from lsp_server.model.worker import Worker
from lsp_server.settings import read
from lsp_server.syntax.languages import language_for, languages
from lsp_server.text import Document, Edit

ROOMS = ("edit", "trigger", "cache", "context", "prompt", "finish")
OTHER, TOTAL = "elsewhere", "outside the model"
LINES = (5_000, 20_000)
HOLE_LINES = 3
MIN_HOLE_CHARS, MAX_HOLE_CHARS = 20, 240
KNOWN_CHARS = 20_000  # around the hole: what the model has seen


@dataclass(frozen=True)
class Source:
    """A large file; `text` has newlines only."""

    language: str
    language_id: str
    text: str


@dataclass
class Measured:
    """The requests of one file: for each the milliseconds in every room.

    `arriving`: the first request at a hole, where nothing is known of the place; `typing`: all others.
    """

    language: str
    n_lines: int
    arriving: list[dict[str, float]] = field(default_factory=list)
    typing: list[dict[str, float]] = field(default_factory=list)


def main() -> int:
    """Measure, print the tables, write the file; the exit code is 130 after Ctrl-C."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--tree", metavar="DIR", type=Path, required=True, help="source files to make large ones of")
    parser.add_argument("--lines", metavar="N,N", default=",".join(map(str, LINES)), help="(default: %(default)s)")
    parser.add_argument("--language", metavar="ID", help="only this one of those found below DIR")
    parser.add_argument(
        "--cases", metavar="N", type=int, default=20, help="holes in each file (default: %(default)s)"
    )
    parser.add_argument("--crlf", action="store_true", help="files with the line ends of Windows")
    parser.add_argument("--seed", metavar="S", default="1", help="chooses files and holes (default: %(default)s)")
    command.add_output_arguments(parser)
    arguments = parser.parse_args()
    measured: list[Measured] = []
    code = command.run(lambda: _measure(arguments, measured))
    if measured:
        for language in dict.fromkeys(one.language for one in measured):
            Console().print(table([one for one in measured if one.language == language]))
        rows = summary(measured)
        command.report(
            arguments,
            "Kruk without the model",
            f"{sum(len(one.typing) for one in measured)} requests while typing",
            rows,
            [Panel("Time of a request", "less is better", tuple(row.title for row in rows))],
            benchmark="overhead",
            seed=arguments.seed,
            crlf=arguments.crlf,
            files=[asdict(one) for one in measured],
        )
    return code


def large_files(tree: Path, sizes: Sequence[int], seed: str, language_id: str | None = None) -> Iterator[Source]:
    """Put together a file of each size for each language that has so many lines below `tree`.

    Raises KrukError when no language has.
    """
    n_found = 0
    for language in languages():
        if language_id not in (None, *language.language_ids):
            continue
        paths = [path for path in sorted(tree.rglob("*")) if language_for("", path.name) is language]
        random.Random(seed).shuffle(paths)
        for size in sizes:
            text = _joined(paths, size)
            if text.count("\n") >= size:
                n_found += 1
                yield Source(language.name, language.language_ids[0], text)
    if not n_found:
        raise KrukError(
            f"No language has {min(sizes):,} lines below `{tree}`", "Name a larger folder, or fewer `--lines`"
        )


def holes_in(text: str, n: int, rng: random.Random) -> list[tuple[str, str, str]]:
    """Choose `n` holes of a few whole lines, or as many as there are: prefix, middle, suffix."""
    lines = text.split("\n")

    def is_fit(first: int) -> bool:
        n_chars = sum(map(len, lines[first : first + HOLE_LINES])) + HOLE_LINES - 1
        return bool(lines[first].strip()) and MIN_HOLE_CHARS <= n_chars <= MAX_HOLE_CHARS

    fit = [first for first in range(len(lines) // 8, len(lines) - HOLE_LINES) if is_fit(first)]
    return [cut_lines(text, first, HOLE_LINES) for first in rng.sample(fit, min(n, len(fit)))]


def summary(measured: Sequence[Measured]) -> list[Row]:
    """Two rows for each file: all rooms together, while typing."""
    return [
        Row(
            f"{one.language}, {one.n_lines:,} lines, {name}",
            figures.percentile([request[TOTAL] for request in one.typing], part),
            unit="ms",
        )
        for one in measured
        for name, part in (("p50", 0.5), ("p95", 0.95))
    ]


def table(measured: Sequence[Measured]) -> Table:
    """Return milliseconds in each room at p50 and p95, for the files of one language."""
    shown = Table(title=f"Overhead, {measured[0].language}: ms at p50 / p95", title_justify="left")
    shown.add_column("room")
    for one in measured:
        shown.add_column(f"{one.n_lines:,} lines,\ntyping", justify="right")
        shown.add_column("\narriving", justify="right")
    kinds = [requests for one in measured for requests in (one.typing, one.arriving)]
    for room in (*ROOMS, OTHER, TOTAL):
        shown.add_row(room, *(_figure([request[room] for request in requests]) for requests in kinds))
    shown.add_row("requests", *(str(len(requests)) for requests in kinds))
    return shown


def _figure(values: Sequence[float]) -> str:
    p50, p95 = figures.percentile(values, 0.5), figures.percentile(values, 0.95)
    return figures.UNKNOWN if p50 is None or p95 is None else f"{p50:.2f} / {p95:.2f}"


def _joined(paths: Sequence[Path], n_lines: int) -> str:
    texts: list[str] = []
    n_read = 0
    for path in paths:
        if n_read >= n_lines:
            break
        try:
            text = path.read_bytes().decode("utf-8")
        except (OSError, UnicodeDecodeError):
            continue
        if "\r" not in text and "\0" not in text:
            texts.append(text.rstrip("\n") + "\n")
            n_read += texts[-1].count("\n")
    return "".join(texts)


def _measure(arguments: argparse.Namespace, measured: list[Measured]) -> None:
    sizes = [int(size) for size in arguments.lines.split(",")]
    for source in large_files(arguments.tree, sizes, arguments.seed, arguments.language):
        measured.append(Measured(source.language, source.text.count("\n")))
        command.tell(f"typing in {measured[-1].n_lines:,} lines of {source.language}")
        asyncio.run(type_in(source, arguments.cases, arguments.crlf, arguments.seed, measured[-1]))


async def type_in(source: Source, n_holes: int, crlf: bool, seed: str, measured: Measured) -> None:
    """Type at `n_holes` places of a file, the time of each request into `measured`."""
    rng = random.Random(f"{seed}:{source.language}")
    typist = Typist()
    try:
        holes = holes_in(source.text, n_holes, rng)
        for hole, other in zip(holes, [*holes[1:], holes[0]], strict=True):
            measured.arriving.append(await typist.arrive(source, hole, other[1], crlf))
            measured.typing.extend([await typist.type(burst) for burst in bursts(hole[1], rng)])
    finally:
        typist.close()


class Typist:
    """Types in one document, and asks for a suggestion after each burst."""

    def __init__(self) -> None:
        self._settings = read({"completion": {"debounceMs": 0}}).settings
        self._answer = knowing("")
        self._memory = Memory()
        is_ready = threading.Event()
        self._worker = Worker(lambda status: is_ready.set() if status.state == "ready" else None)
        self._worker.load(lambda _tell, _keep_on: FakeModel(lambda prompt: self._answer(prompt)))
        is_ready.wait()

    @property
    def text(self) -> str:
        """The document as it is now."""
        return self._document.text

    def close(self) -> None:
        """End the model's thread."""
        self._worker.close()

    async def arrive(self, source: Source, hole: tuple[str, str, str], wrong: str, crlf: bool) -> dict[str, float]:
        """Open the file without the hole's text, and ask there for the first time."""
        self._newline = "\r\n" if crlf else "\n"
        self._prefix, self._middle, self._suffix = hole
        self._wrong, self._n_asked = wrong, 0
        text = (self._prefix + self._suffix).replace("\n", self._newline)
        self._document = Document("file:///large", source.language_id, 1, text)
        self._line, self._column = self._document.position_at(len(self._in_document(self._prefix)), "utf-16")
        return await self._ask(0.0)

    async def type(self, burst: str) -> dict[str, float]:
        """Type at the cursor and ask; the milliseconds of each room."""
        at = (self._line, self._column)
        edit = Edit(at, at, self._in_document(burst))
        started = time.perf_counter()
        self._document = self._document.apply([edit], self._document.version + 1, "utf-16")
        took_ms = (time.perf_counter() - started) * 1e3
        self._prefix, self._middle = self._prefix + burst, self._middle.removeprefix(burst)
        *above, rest = burst.split("\n")
        self._line += len(above)
        self._column = (0 if above else self._column) + len(rest.encode("utf-16-le")) // 2
        return await self._ask(took_ms)

    async def _ask(self, edit_ms: float) -> dict[str, float]:
        self._n_asked += 1
        said = self._middle if self._n_asked % 2 else self._wrong
        self._answer = knowing(self._prefix[-KNOWN_CHARS:] + said + self._suffix[:KNOWN_CHARS])
        trace = Trace(0, self._document.uri, "invoked")
        started = time.perf_counter()
        offset = self._document.offset_at(self._line, self._column, "utf-16")
        request = CompletionRequest(self._document, offset, "large", "invoked")
        await complete(Flight(request, trace), self._settings, self._worker, self._memory)
        took_ms = (time.perf_counter() - started) * 1e3
        self._memory.cache.clear()
        self._memory.outputs.clear()
        return by_room(trace.as_dict(), edit_ms, took_ms)

    def _in_document(self, text: str) -> str:
        return text.replace("\n", self._newline)


def by_room(trace: dict[str, Any], edit_ms: float, took_ms: float) -> dict[str, float]:
    """Return the milliseconds of one request in each room, elsewhere, and in all but the model."""
    rooms = {room["room"]: room["ms"] for room in trace["rooms"]}
    total_ms = edit_ms + took_ms - rooms.get("model", 0.0)
    named = {"edit": edit_ms, **{name: rooms.get(name, 0.0) for name in ROOMS[1:]}}
    return {**named, OTHER: total_ms - sum(named.values()), TOTAL: total_ms}


if __name__ == "__main__":
    sys.exit(main())
