"""How often Fix puts a bug right, beside one plain chat request to the same model with the same information.

usage: python benchmarks/fix.py --data humanevalpack_python.jsonl -n N [--half 1|2] [--model PATH|ID] [--seed S]
                                [--json FILE]

--data FILE: the Python tasks of HumanEvalPack (OctoPack). Each is a documented function with a bug; both sides are
shown the function with its documentation, and told that it has a bug. The plain side ("peer") is asked once, and its
first block of code is taken; Fix works as in an editor, on a file that holds the function. A task is solved when its
tests pass.
--half takes every second task of those that the seed chose, the first ones or the others.
WARNING: this RUNS WHAT THE MODEL WROTE, in a child process with limits but in no sandbox; see execute.py.

Counted too: edits that do not parse or touch a line outside of the function (there should be none), how many tokens
were decoded one by one, and how long it took. What is in brackets is the bootstrap's 95 % interval.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TypeVar

import command
import execute
import figures
import msgspec
from figures import Row
from holes import sample

from lsp_server.actions.action import Action
from lsp_server.actions.ask import Count, ask
from lsp_server.actions.changes import apply
from lsp_server.actions.edit import edit
from lsp_server.actions.library import actions
from lsp_server.actions.reply import code_in
from lsp_server.actions.target import target_of
from lsp_server.actions.words import values
from lsp_server.chat.template import Message
from lsp_server.errors import KrukError
from lsp_server.model.base import Model
from lsp_server.model.loading import loader_for
from lsp_server.model.states import States
from lsp_server.model.worker import Steps
from lsp_server.settings import read
from lsp_server.syntax.languages import language_for
from lsp_server.syntax.tree import parse
from lsp_server.text import Document

T = TypeVar("T")
MAX_PLAIN_TOKENS = 700


class Task(msgspec.Struct):
    """One line of the file; what else it holds is not needed."""

    task_id: str
    prompt: str
    buggy_solution: str
    test: str
    entry_point: str

    @property
    def imports(self) -> str:
        """What stands in front of the function."""
        return self.prompt[: self.prompt.rfind(f"def {self.entry_point}(")]

    @property
    def function(self) -> str:
        """The function with the bug."""
        return (self.prompt + self.buggy_solution).removeprefix(self.imports).rstrip("\n")


@dataclass(frozen=True)
class Case:
    """One task, as one side has done it."""

    task: str
    side: str
    passes: bool
    ms: float
    n_tokens: int
    n_single: int
    refusal: str = ""
    is_sound: bool = True  # what is offered parses, and changes nothing outside of the function


def main() -> int:
    """Measure, print the summary, write the file; the exit code is 130 after Ctrl-C."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--data", metavar="FILE", type=Path, required=True, help="HumanEvalPack's Python tasks")
    parser.add_argument("-n", metavar="N", type=int, default=40, help="tasks (default: %(default)s)")
    parser.add_argument("--half", type=int, choices=(1, 2), help="every second task only")
    parser.add_argument("--seed", metavar="S", default="1", help="chooses the tasks (default: %(default)s)")
    command.add_model_argument(parser)
    parser.add_argument("--json", metavar="FILE", type=Path, help="where to write everything that was measured")
    arguments = command.parse(parser)
    if not execute.can_execute():
        parser.error("this system cannot limit what it runs (Windows)")
    cases: list[Case] = []
    code = command.run(lambda: measure(arguments, cases))
    if cases:
        rows = summary(cases, arguments.seed)
        figures.show(rows, f"Fix: {len(cases) // 2} tasks, {arguments.model.name}")
        if arguments.json:
            figures.save(
                arguments.json,
                benchmark="fix",
                model=arguments.model.name,
                seed=arguments.seed,
                machine=figures.machine(),
                summary=[asdict(row) for row in rows],
                cases=[asdict(case) for case in cases],
            )
    return code


def read_tasks(path: Path, n: int, seed: str, half: int | None) -> list[Task]:
    """Choose tasks by the seed. Raises KrukError when the file cannot be read, or is of another form."""
    try:
        rows = [msgspec.json.decode(line, type=Task) for line in path.read_bytes().splitlines() if line.strip()]
    except (OSError, msgspec.DecodeError) as error:
        raise KrukError(
            f"`{path}` cannot be read: {error}", "Take HumanEvalPack's humanevalpack_python.jsonl"
        ) from error
    tasks = {row.task_id: row for row in rows}
    chosen = [tasks[name] for name in sample(list(tasks), n, seed)]
    return chosen[half - 1 :: 2] if half else chosen


def measure(arguments: argparse.Namespace, cases: list[Case]) -> None:
    """Do every task on both sides, in turn."""
    tasks = read_tasks(arguments.data, arguments.n, arguments.seed, arguments.half)
    command.tell("loading the model")
    model = loader_for(read({"model": str(arguments.model)}).settings)(lambda _: None, lambda: True)
    action = next(action for action in actions([]) if action.name == "fix")
    for n, task in enumerate(tasks, 1):
        done = [plain(model, task), fix(model, action, task)]
        cases += done
        told = "; ".join(f"{case.side} {'passes' if case.passes else case.refusal or 'fails'}" for case in done)
        command.tell(f"task {n}/{len(tasks)}, {task.task_id}: {told}")


def plain(model: Model, task: Task) -> Case:
    """Ask once, as one would in a chat."""
    began, count = time.perf_counter(), Count()
    said: list[str] = []

    def has_code(new: str) -> bool:
        said.append(new)
        return "".join(said).count("```") > 1 and new.endswith("\n")

    words = f"{task.imports}{task.function}\n\nFix bugs in `{task.entry_point}`."
    steps = ask(model, [Message("user", words)], MAX_PLAIN_TOKENS, lambda _: None, stop=has_code, count=count)
    code = code_in(_result(steps).text)
    ms = (time.perf_counter() - began) * 1e3
    passes = execute.passes(f"{task.imports}\n{code}\n{task.test}")
    return Case(task.task_id, "plain", passes, ms, count.n_tokens, count.n_single)


def fix(model: Model, action: Action, task: Task) -> Case:
    """Run the action on the function, in a file with its imports above and a line below."""
    before, behind = task.imports, "\n\n# The end.\n"
    document = Document("file:///task.py", "python", 1, before + task.function + behind)
    language = language_for("python")
    began = time.perf_counter()
    target = target_of(document, language, len(before) + 1, len(before) + 1)
    words = action.filled(values(target, [], f"`{task.entry_point}` has a bug.", "", None))
    outcome = _result(edit(action, target, words, States(None))(model))
    ms = (time.perf_counter() - began) * 1e3
    text = apply(document.text, list(outcome.changes))
    is_sound = text.startswith(before) and text.endswith(behind)
    if language and parse(text, language).n_errors:
        is_sound = False
    passes = execute.passes(f"{text}\n{task.test}")
    count = outcome.count
    return Case(task.task_id, "Fix", passes, ms, count.n_tokens, count.n_single, outcome.refusal, is_sound)


def summary(cases: Sequence[Case], seed: str) -> list[Row]:
    """The lines of the summary; the peer is the plain side."""
    sides = [[case for case in cases if case.side == side] for side in ("Fix", "plain")]
    fixed = sides[0]
    passes = [[float(case.passes) for case in side] for side in sides]
    kruk, peer = map(figures.mean, passes)
    intervals = [figures.bootstrap(values, seed) for values in passes]
    single = [sum(case.n_single for case in side) / max(sum(case.n_tokens for case in side), 1) for side in sides]
    return [
        Row(
            "passes its tests", kruk, peer, "%", figures.divide(kruk, peer),
            kruk_interval=intervals[0], peer_interval=intervals[1],
        ),
        Row("refused", figures.mean([float(bool(case.refusal)) for case in fixed]), None, "%"),
        Row("unsound edits", float(sum(not case.is_sound for case in fixed))),
        Row("tokens decoded one by one", single[0], single[1], "%"),
        *(
            Row(f"time, p{part}", *(figures.percentile([it.ms for it in side], part / 100) for side in sides), "ms")
            for part in (50, 95)
        ),
    ]  # fmt: skip


def _result(steps: Steps[T]) -> T:
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value


if __name__ == "__main__":
    sys.exit(main())
