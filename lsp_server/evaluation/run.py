"""Ask servers, one configuration after the other, to fill the same holes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lsp_server.evaluation.editor import Editor, rss_mib, wait_until_idle
from lsp_server.evaluation.holes import Hole
from lsp_server.evaluation.project import Project
from lsp_server.evaluation.score import Score, score


@dataclass(frozen=True)
class Configuration:
    """A model with its own adapters, and settings under which it is asked. `name` is unique, and shown."""

    name: str
    model: Path
    settings: dict[str, Any]  # with dotted names
    adapters: tuple[str, ...] = ()

    @property
    def options(self) -> dict[str, Any]:
        """What its server is given."""
        adapters = [*self.adapters, *self.settings.get("adapters", [])]
        return {**self.settings, "model": str(self.model)} | ({"adapters": adapters} if adapters else {})


@dataclass(frozen=True)
class Case:
    """One suggestion for the hole of this number. `reason` says why there is none.

    `confidence`: the probability of its first line, from 0 to 1, also of one that was kept back; None without any.
    """

    hole: int
    text: str
    ms: float
    reason: str | None
    score: Score
    confidence: float | None = None


@dataclass
class Measured:
    """What there is so far: the cases of each configuration, and the most memory that it took, in MiB."""

    holes: list[Hole]
    cases: dict[str, list[Case]] = field(default_factory=dict)
    memory_mib: dict[str, float] = field(default_factory=dict)


def run(
    configurations: Sequence[Configuration],
    project: Project,
    homes: Path,
    measured: Measured,
    rest_s: float,
    tell: Callable[[Configuration, Case | None], None],
) -> None:
    """Ask for what `measured` lacks. It is whole at any moment, so that a KeyboardInterrupt loses nothing.

    Each server has a new home below `homes`: what an earlier one kept would help it. `rest_s`: how long the cursor
    rests in a file before it is asked there. `tell` hears of each configuration that begins, and of each case.
    Raises KrukError when a server fails.
    """
    for n, configuration in enumerate(configurations):
        name = configuration.name
        cases = measured.cases.setdefault(name, [])
        there = {case.hole for case in cases}
        if len(there) == len(measured.holes):
            continue
        tell(configuration, None)
        with Editor(project.root, homes / str(n), configuration.options) as editor:
            _begin(editor, project, measured.holes[-1])
            for number, hole in enumerate(measured.holes):
                if number in there:
                    continue
                cases.append(_ask(editor, project, hole, number, rest_s))
                measured.memory_mib[name] = max(measured.memory_mib.get(name, 0), rss_mib(editor.process))
                tell(configuration, cases[-1])


def _begin(editor: Editor, project: Project, hole: Hole) -> None:
    """Let the first case not pay for what happens once in a process: reading the project, and the first request."""
    wait_until_idle(editor.process)
    editor.open_file(project.root / hole.file, hole.prefix + hole.suffix, "", hole.language_id)
    editor.request()
    editor.leave()


def _ask(editor: Editor, project: Project, hole: Hole, number: int, rest_s: float) -> Case:
    with project.masked(hole) as path:
        editor.open_file(path, hole.prefix, hole.suffix, hole.language_id)
        if rest_s:
            editor.look(rest_s)
        reply = editor.request()
        editor.leave()
    reason = None if reply.text else reply.trace.get("reason") or "no reason given"
    sure = next((room["confidence"] for room in reply.trace["rooms"] if "confidence" in room), None)
    return Case(number, reply.text, reply.ms, reason, score(hole, reply.text), sure)
