"""Holes with tests to tell whether they were filled well: HumanEval-Infilling's own files."""

from __future__ import annotations

import gzip
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
from holes import Hole, sample

from lsp_server.errors import KrukError


class Row(msgspec.Struct):
    """One line of the file; what else it holds is not needed."""

    task_id: str
    prompt: str
    suffix: str
    canonical_solution: str
    test: str
    entry_point: str


@dataclass(frozen=True)
class Task:
    """A hole, and the program text that tests the function it is in."""

    hole: Hole
    check: str

    def program(self, middle: str) -> str:
        """The whole program with this text in the hole."""
        return f"{self.hole.prefix}{middle}{self.hole.suffix}\n{self.check}"


def read_tasks(path: Path, n: int, seed: str) -> list[Task]:
    """Choose `n` of the file's tasks by the seed; all of them when there are fewer.

    Raises KrukError when the file cannot be read, or is of another form.
    """
    try:
        data = path.read_bytes()
        data = gzip.decompress(data) if path.suffix == ".gz" else data
        rows = [msgspec.json.decode(line, type=Row) for line in data.splitlines() if line.strip()]
    except (OSError, EOFError, msgspec.DecodeError) as error:
        raise KrukError(f"`{path}` cannot be read: {error}", "Take a file of HumanEval-Infilling") from error
    tasks = {row.task_id: task_of(row) for row in rows}
    return [tasks[name] for name in sample([name for name in tasks if tasks[name].hole.middle.strip()], n, seed)]


def task_of(row: Any) -> Task:
    """The task as an editor has it: the line's indentation is there already, and so is the line end behind the hole.

    The files count both to the solution, which would leave the next line's text on the cursor's own line.
    """
    prefix, middle, suffix = row.prompt, row.canonical_solution, row.suffix
    if not prefix[prefix.rfind("\n") + 1 :].strip():
        body = middle.lstrip(" \t")
        prefix, middle = prefix + middle[: len(middle) - len(body)], body
    if middle.endswith("\n"):
        middle, suffix = middle[:-1], "\n" + suffix
    hole = Hole(row.task_id, "task.py", "python", prefix, middle, suffix)
    return Task(hole, f"{row.test}\ncheck({row.entry_point})\n")
