"""Whether pytest takes the test files that Write tests makes, and how many of the tests pass.

usage: python benchmarks/test_files.py --tree DIR [-n N] [--model PATH|ID] [--seed S] [--journal FILE]
                                       [--minutes M] [--show]

Takes small Python functions out of the source files below DIR, puts each into a module of its own with the imports it
had, and has tests written for it as in an editor. Those are left out that cannot be imported alone.
WARNING: this RUNS WHAT THE MODEL WROTE, in a child process with limits but in no sandbox; see execute.py.
"""

from __future__ import annotations

import argparse
import ast
import re
import sys
import tempfile
import textwrap
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import command
import execute
from functions import Function, functions
from journal import Journal
from rich.console import Console

from lsp_server.actions.action import Action
from lsp_server.actions.library import actions
from lsp_server.actions.target import target_of
from lsp_server.actions.testing import test_file, write_tests
from lsp_server.actions.words import values
from lsp_server.errors import KrukError
from lsp_server.model.base import Model
from lsp_server.model.states import States
from lsp_server.syntax.languages import language_for
from lsp_server.text import Document

MAX_LINES = 15
SPARE = 5  # times as many functions are looked at: not every one can be imported alone
NAME = "module"


@dataclass(frozen=True)
class Case:
    """One function. `said`: what pytest said where it did not collect."""

    refusal: str = ""
    is_collected: bool = False
    n_passed: int = 0
    n_failed: int = 0
    text: str = ""
    said: str = ""


def main() -> int:
    """Measure and print the figures; the exit code is 130 after Ctrl-C."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument(
        "--tree", metavar="DIR", type=Path, required=True, help="Python sources to take functions from"
    )
    parser.add_argument("-n", metavar="N", type=int, default=50, help="functions (default: %(default)s)")
    parser.add_argument("--seed", metavar="S", default="1", help="chooses the functions (default: %(default)s)")
    parser.add_argument("--show", action="store_true", help="print what was written")
    command.add_model_argument(parser)
    command.add_journal_arguments(parser)
    arguments = command.parse(parser)
    if not execute.can_execute():
        parser.error("this system cannot limit what it runs (Windows)")
    cases: list[Case] = []
    code = command.run(lambda: measure(arguments, cases))
    console = Console()
    n_passed, n_failed = sum(case.n_passed for case in cases), sum(case.n_failed for case in cases)
    console.print(f"Write tests: {len(cases)} functions, {arguments.model.name}")
    console.print(f"collected   {sum(case.is_collected for case in cases)} of {len(cases)} files")
    console.print(f"refused     {sum(bool(case.refusal) for case in cases)}")
    console.print(f"passed      {n_passed} of {n_passed + n_failed} tests")
    console.print(f"whole files {sum(case.n_passed > 0 and not case.n_failed for case in cases)} pass")
    for why, n in Counter(case.refusal or case.said for case in cases if not case.is_collected).most_common():
        console.print(f"{n} × {why}", markup=False)
    if arguments.show:
        for case in cases:
            console.print(f"--\n{case.text}", markup=False, highlight=False)
    return code


def measure(arguments: argparse.Namespace, cases: list[Case]) -> None:
    """Have tests written for every function, and run them."""
    journal = Journal(arguments.journal, Case, arguments.minutes)
    model = command.load(arguments)
    action = next(action for action in actions([]) if action.name == "tests")
    for function in functions(arguments.tree, ["python"], arguments.n * SPARE, arguments.seed, MAX_LINES):
        if len(cases) == arguments.n:
            return
        if function.name not in journal.cases:
            if journal.is_late:
                return
            with tempfile.TemporaryDirectory(prefix="kruk-benchmark-") as folder:
                path = Path(folder) / f"{NAME}.py"
                if not _is_alone(function, path):
                    continue
                journal.add(function.name, tested(model, action, path))
        cases.append(case := journal.cases[function.name])
        told = case.refusal or case.said or f"{case.n_passed} pass, {case.n_failed} fail"
        command.tell(f"{len(cases)}/{arguments.n} {function.name}: {told}")


def tested(model: Model, action: Action, path: Path) -> Case:
    """Have tests written for the function at the end of a module, and run them."""
    document = Document(path.as_uri(), "python", 1, path.read_text("utf-8"))
    try:
        target = target_of(document, language_for("python"), len(document.text) - 2, len(document.text) - 2)
        file = test_file(target, path, path.parent, lambda _: None)
        words = action.filled(values(action, target, [], "", "", path))
        outcome = command.finish(write_tests(target, file, words, States(None))(model))
    except KrukError as error:
        return Case(str(error))
    if outcome.refusal:
        return Case(outcome.refusal)
    file.path.parent.mkdir(exist_ok=True)
    file.path.write_text(outcome.text, "utf-8")
    code, said = execute.pytest(path.parent, "--collect-only", "-q")
    if code:
        lines = [line for line in said.splitlines() if line.startswith("E  ")]
        return Case(text=outcome.text, said=(lines or ["nothing was collected"])[-1].removeprefix("E").strip()[:100])
    _, said = execute.pytest(path.parent, "-q")
    n_passed, n_failed = (
        sum(map(int, re.findall(rf"(\d+) {word}", said))) for word in ("passed", "(?:failed|error)")
    )
    return Case(is_collected=True, n_passed=n_passed, n_failed=n_failed, text=outcome.text)


def _is_alone(function: Function, path: Path) -> bool:
    """Put a function into a module with the imports of its file; whether that can be imported."""
    try:
        tree = ast.parse(function.text)
    except SyntaxError:
        return False
    line = function.text.count("\n", 0, function.offset) + 1
    found = next((it for it in tree.body if isinstance(it, ast.FunctionDef) and it.lineno == line), None)
    if found is None or found.decorator_list:
        return False
    names = {it.id for it in ast.walk(found) if isinstance(it, ast.Name)}
    imports = [
        ast.unparse(it)
        for it in tree.body
        if isinstance(it, ast.Import | ast.ImportFrom)
        and names & {(alias.asname or alias.name).split(".")[0] for alias in it.names}
    ]
    code = textwrap.dedent("\n".join(function.text.split("\n")[line - 1 : found.end_lineno]))
    path.write_text("\n".join(["from __future__ import annotations", *imports, "\n", code, ""]), "utf-8")
    path.with_name(f"test_{NAME}.py").write_text(f"from {NAME} import {found.name}\n\n\ndef test_it():\n    pass\n")
    is_alone = execute.pytest(path.parent, "--collect-only", "-q")[0] == 0
    path.with_name(f"test_{NAME}.py").unlink()
    return is_alone


if __name__ == "__main__":
    sys.exit(main())
