"""Whether Document leaves code as it is, and what it writes is documentation.

usage: python benchmarks/document.py --tree DIR [-n N] [--languages ID,ID] [--model PATH|ID] [--seed S]
                                     [--journal FILE] [--minutes M] [--show]

Takes functions without documentation out of the source files below DIR, as many of each language, and documents each
in its own file. Counted: how often the rest of the file is what it was, byte for byte; how often the file does not
parse worse; how often the new lines are a docstring of the function, or a comment; and how often it is refused.
"""

from __future__ import annotations

import argparse
import ast
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import command
from functions import Function, functions
from journal import Journal
from rich.console import Console
from rich.table import Table

from lsp_server.actions.action import Action
from lsp_server.actions.changes import apply
from lsp_server.actions.document import document
from lsp_server.actions.library import actions
from lsp_server.actions.target import target_of
from lsp_server.actions.words import values
from lsp_server.errors import KrukError
from lsp_server.model.base import Model
from lsp_server.model.states import States
from lsp_server.syntax.languages import Language, language_for
from lsp_server.syntax.tree import parse
from lsp_server.text import Document


@dataclass(frozen=True)
class Case:
    """One function. `text`: the lines that were put in."""

    language: str
    refusal: str = ""
    same_code: bool = False
    parses: bool = False
    is_comment: bool = False
    text: str = ""


def main() -> int:
    """Measure and print the table; the exit code is 130 after Ctrl-C."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--tree", metavar="DIR", type=Path, required=True, help="source files to take functions from")
    parser.add_argument("--languages", metavar="ID,ID", default="python,javascript,go,rust,java", help="%(default)s")
    parser.add_argument("-n", metavar="N", type=int, default=100, help="functions (default: %(default)s)")
    parser.add_argument("--seed", metavar="S", default="1", help="chooses the functions (default: %(default)s)")
    parser.add_argument("--show", action="store_true", help="print what was written")
    command.add_model_argument(parser)
    command.add_journal_arguments(parser)
    arguments = command.parse(parser)
    cases: list[Case] = []
    code = command.run(lambda: measure(arguments, cases))
    table = Table(title=f"Document: {len(cases)} functions, {arguments.model.name}", title_justify="left")
    for name in ("language", "functions", "code the same", "parses", "a comment", "refused"):
        table.add_column(name, justify="left" if name == "language" else "right")
    for language in [*dict.fromkeys(case.language for case in cases), "all"]:
        them = [case for case in cases if language in (case.language, "all")]
        done = [case for case in them if not case.refusal]
        counts = [sum(getattr(case, name) for case in done) for name in ("same_code", "parses", "is_comment")]
        table.add_row(language, str(len(them)), *(f"{n} of {len(done)}" for n in counts), str(len(them) - len(done)))
    console = Console()
    console.print(table)
    for refusal, n in Counter(case.refusal for case in cases if case.refusal).most_common():
        console.print(f"{n} × {refusal}", markup=False)
    if arguments.show:
        for case in cases:
            console.print(f"-- {case.language}\n{case.text}", markup=False, highlight=False)
    return code


def measure(arguments: argparse.Namespace, cases: list[Case]) -> None:
    """Document every function."""
    journal = Journal(arguments.journal, Case, arguments.minutes)
    model = command.load(arguments)
    action = next(action for action in actions([]) if action.name == "document")
    languages = arguments.languages.split(",")
    found = functions(arguments.tree, languages, arguments.n // len(languages), arguments.seed)
    for n, function in enumerate(found, 1):
        if function.name not in journal.cases:
            if journal.is_late:
                return
            journal.add(function.name, documented(model, action, function))
        cases.append(journal.cases[function.name])
        command.tell(f"{n}/{len(found)} {function.name}: {cases[-1].refusal or 'documented'}")


def documented(model: Model, action: Action, function: Function) -> Case:
    """Document one function in its file."""
    language = language_for(function.language)
    assert language
    before = Document(function.path.as_uri(), function.language, 1, function.text)
    try:
        target = target_of(before, language, function.offset, function.offset)
        words = action.filled(values(action, target, [], "", "", function.path))
        outcome = command.finish(document(target, words, States(None))(model))
    except KrukError as error:
        return Case(function.language, str(error))
    if outcome.refusal:
        return Case(function.language, outcome.refusal)
    text = apply(before.text, list(outcome.changes))
    (change,) = outcome.changes
    end = change.start + len(change.text)
    return Case(
        function.language,
        same_code=text[: change.start] + text[end:] == function.text,
        parses=parse(text, language).n_errors <= parse(function.text, language).n_errors,
        is_comment=_is_documentation(text, change.start, end, language, target.name),
        text=change.text,
    )


def _is_documentation(text: str, start: int, end: int, language: Language, name: str) -> bool:
    """Whether all that is between the offsets is one docstring of what has the name, or comment."""
    if language.name == "python":
        first = text.count("\n", 0, start) + 1
        definitions = [it for it in ast.walk(ast.parse(text)) if getattr(it, "name", None) == name]
        return any(ast.get_docstring(it) and it.body[0].lineno == first for it in definitions)  # type: ignore[attr-defined, arg-type]
    tree = parse(text, language)
    at = start
    for line in text[start:end].splitlines(keepends=True):
        place = at + len(line) - len(line.lstrip()) + 1
        if line.strip() and tree.region_at(place) != "comment":
            return False
        at += len(line)
    return True


if __name__ == "__main__":
    sys.exit(main())
