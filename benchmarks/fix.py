"""How often Fix puts a bug right, beside one plain chat request to the same model with the same information.

usage: python benchmarks/fix.py --data humanevalpack_python.jsonl [--language ID] -n N [--model PATH|ID] [--seed S]
                                [--journal FILE] [--minutes M] [--json FILE]

--data FILE: the tasks of HumanEvalPack (OctoPack) in a language. Each is a documented function with a bug; both sides
are shown the function with its documentation, and told that it has a bug. The plain side ("peer") is asked once,
and its first block of code is taken; Fix works as in an editor, on a file that holds the function. A task is solved
when its tests pass; those are left out whose own solution does not pass here, or whose bug does.
WARNING: this RUNS WHAT THE MODEL WROTE, in a child process with limits but in no sandbox; see execute.py.

Counted too: edits that do not parse or touch a line outside of the function (there should be none), how many tokens
were decoded one by one, and how long it took. What is in brackets is the bootstrap's 95 % interval.
"""

from __future__ import annotations

import argparse
import re
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import command
import execute
import figures
import msgspec
from figures import Row
from holes import sample
from journal import Journal

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
from lsp_server.model.states import States
from lsp_server.syntax.languages import language_for
from lsp_server.syntax.tree import parse
from lsp_server.text import Document

MAX_PLAIN_TOKENS = 700
_COMMENT = re.compile(r"^[ \t]*/\*.*?\*/|(?:^[ \t]*//.*\n)+", re.M | re.S)
_CLOSER = re.compile(r"\s*\n\}\s*\Z")


class Task(msgspec.Struct):
    """One line of the file; what else it holds is not needed."""

    task_id: str
    prompt: str
    declaration: str
    canonical_solution: str
    buggy_solution: str
    test: str
    entry_point: str
    test_setup: str = ""

    @property
    def parts(self) -> tuple[str, str, str]:
        """The file with the bug: what stands in front, the documented function, and what closes around it.

        Documentation inside the function is in the prompt; a comment stands right above the function here, though
        some of the prompts have imports between the two.
        """
        above, _, signature = self.declaration.rstrip("\n").rpartition("\n")
        above = f"{above}\n" if above.strip() else ""
        comment = _COMMENT.search(self.prompt)
        if comment and comment.start() < self.prompt.rfind(signature.strip()):
            indent = signature[: len(signature) - len(signature.lstrip())]
            code = f"{indent}{comment[0].strip()}\n{signature}\n{self.buggy_solution}"
        else:
            above = self.prompt[: self.prompt.rfind(signature)]
            code = (self.prompt + self.buggy_solution).removeprefix(above)
        closer = _CLOSER.search(code) if signature[:1].isspace() else None
        return above, code[: closer.start()] if closer else code.rstrip("\n"), closer[0] if closer else ""

    def program(self, code: str) -> str:
        """A file with its tests."""
        return f"{self.test_setup}{code}\n{self.test}"

    @property
    def is_fair(self) -> bool:
        """Whether the function can be told from the file, and its name is known."""
        return self.entry_point in self.declaration.rstrip("\n").rpartition("\n")[2]


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
    parser.add_argument(
        "--data", metavar="FILE", type=Path, required=True, help="HumanEvalPack's tasks in a language"
    )
    parser.add_argument("--language", metavar="ID", default="python", help="of the tasks (default: %(default)s)")
    parser.add_argument("-n", metavar="N", type=int, default=40, help="tasks (default: %(default)s)")
    parser.add_argument("--seed", metavar="S", default="1", help="chooses the tasks (default: %(default)s)")
    command.add_model_argument(parser)
    command.add_journal_arguments(parser)
    parser.add_argument("--json", metavar="FILE", type=Path, help="where to write everything that was measured")
    arguments = command.parse(parser)
    language = execute.languages().get(arguments.language)
    if language is None:
        parser.error(f"--language is one of {', '.join(execute.languages())}")
    if language.missing:
        parser.error(f"`{language.missing}` is not on this machine")
    if not execute.can_execute():
        parser.error("this system cannot limit what it runs (Windows)")
    cases: list[Case] = []
    code = command.run(lambda: measure(arguments, cases))
    if cases:
        rows = summary(cases, arguments.seed)
        title = f"Fix: {len(cases) // 2} tasks in {arguments.language}, {arguments.model.name}"
        figures.show(rows, title)
        if arguments.json:
            figures.save(
                arguments.json,
                benchmark="fix",
                model=arguments.model.name,
                language=arguments.language,
                seed=arguments.seed,
                machine=figures.machine(),
                summary=[asdict(row) for row in rows],
                cases=[asdict(case) for case in cases],
            )
    return code


def read_tasks(path: Path, seed: str) -> list[Task]:
    """All tasks in the seed's order. Raises KrukError when the file cannot be read, or is of another form."""
    try:
        rows = [msgspec.json.decode(line, type=Task) for line in path.read_bytes().splitlines() if line.strip()]
    except (OSError, msgspec.DecodeError) as error:
        raise KrukError(
            f"`{path}` cannot be read: {error}", "Take HumanEvalPack's humanevalpack_python.jsonl, or another"
        ) from error
    tasks = {row.task_id: row for row in rows}
    return [tasks[name] for name in sample(list(tasks), len(tasks), seed)]


def measure(arguments: argparse.Namespace, cases: list[Case]) -> None:
    """Do every task on both sides, in turn."""
    journal = Journal(arguments.journal, Case, arguments.minutes)
    model = command.load(arguments)
    action = next(action for action in actions([]) if action.name == "fix")
    for task in read_tasks(arguments.data, arguments.seed):
        if len(cases) == 2 * arguments.n:
            return
        keys = [f"{task.task_id} {side}" for side in ("plain", "Fix")]
        if keys[1] not in journal.cases:
            if journal.is_late:
                return
            if not is_sound_task(task, arguments.language):
                continue
            for key, do in zip(keys, (plain, fix), strict=True):
                journal.add(key, do(model, action, task, arguments.language))
        done = [journal.cases[key] for key in keys]
        cases += done
        told = "; ".join(f"{case.side} {'passes' if case.passes else case.refusal or 'fails'}" for case in done)
        command.tell(f"task {len(cases) // 2}/{arguments.n}, {task.task_id}: {told}")


def is_sound_task(task: Task, language_id: str) -> bool:
    """Whether its tests tell the solution from the bug, on this machine."""
    above, code, closer = task.parts if task.is_fair else ("", "", "")
    return (
        bool(code)
        and execute.passes(task.program(task.declaration + task.canonical_solution), language_id)
        and not execute.passes(task.program(above + code + closer), language_id)
    )


def plain(model: Model, _: Action, task: Task, language_id: str) -> Case:
    """Ask once, as one would in a chat."""
    began, count = time.perf_counter(), Count()
    said: list[str] = []

    def has_code(new: str) -> bool:
        said.append(new)
        return "".join(said).count("```") > 1 and new.endswith("\n")

    above, code, closer = task.parts
    words = Message("user", f"{above}{code}{closer}\n\nFix bugs in `{task.entry_point}`.")
    steps = ask(model, [words], MAX_PLAIN_TOKENS, lambda _: None, States(None), stop=has_code, count=count)
    code = code_in(command.finish(steps).text)
    ms = (time.perf_counter() - began) * 1e3
    if not (closer and above.strip() in code):  # where it wrote the function only, it goes into its place
        code = f"{above}\n{code}{closer}"
    return Case(task.task_id, "plain", passes(task, code, language_id), ms, count.n_tokens, count.n_single)


def fix(model: Model, action: Action, task: Task, language_id: str) -> Case:
    """Run the action on the function, in a file with its imports above and what closes it below."""
    language = language_for(language_id)
    above, code, closer = task.parts
    behind = closer or f"\n\n{language.line_comment if language else ''} The end.\n"
    document = Document("file:///task", language_id, 1, above + code + behind)
    began = time.perf_counter()
    at = len(above) + len(code) - 1
    target = target_of(document, language, at, at)
    words = action.filled(values(action, target, [], f"`{task.entry_point}` has a bug.", "", None))
    outcome = command.finish(edit(action, target, words, States(None))(model))
    ms = (time.perf_counter() - began) * 1e3
    text = apply(document.text, list(outcome.changes))
    is_sound = text.startswith(above) and text.endswith(behind)
    if language and parse(text, language).n_errors > parse(document.text, language).n_errors:
        is_sound = False
    count = outcome.count
    solved = passes(task, text, language_id)
    return Case(task.task_id, "Fix", solved, ms, count.n_tokens, count.n_single, outcome.refusal, is_sound)


def passes(task: Task, code: str, language_id: str) -> bool:
    """Whether a file passes the task's tests."""
    return execute.passes(task.program(code), language_id)


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


if __name__ == "__main__":
    sys.exit(main())
