"""Run a program that a model has had a part in, with limits. POSIX only.

The limits keep an endless loop or a runaway list from hurting the machine. They are no sandbox: the program can
read what its user can read, and reach the network. Run it in a container without one if that matters.
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import msgspec

PATIENCE_S = 15
BUILD_PATIENCE_S = 60

# Sets the limits in the child, before anything of the program runs.
_GUARD = """
import os, resource, runpy, sys
most = {"CPU": 10, "AS": 2 << 30, "FSIZE": 1 << 20, "NOFILE": 64, "CORE": 0}
kind, *command = sys.argv[1:]
if kind == "command":
    del most["AS"]  # virtual machines reserve far more than they use; they have options of their own for it
for name, value in most.items():
    try:
        resource.setrlimit(getattr(resource, f"RLIMIT_{name}"), (value, value))
    except (AttributeError, ValueError, OSError):
        pass
if kind == "command":
    os.execv(command[0], command)
runpy.run_path(command[0], run_name="__main__")
"""


class Language(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How programs of a language are run: a row of programs.json.

    Attributes:
        file: What the program is called.
        build, run: Commands, with `{file}`; without `run` this Python runs it.
        before: What stands in front of every program.
        word: The statement that prints `{word}`.
        closers: How many braces at the program's end stand behind it.
        drops: Lines that it does without: imports of what is not everywhere.
    """

    language: str
    file: str
    run: tuple[str, ...]
    word: str
    build: tuple[str, ...] = ()
    before: str = ""
    closers: int = 0
    drops: str = ""

    @property
    def missing(self) -> str:
        """The tool that is not on this machine; "" when all are."""
        tools = [command[0] for command in (self.build, self.run) if command and not command[0].startswith(".")]
        return next((tool for tool in tools if not shutil.which(tool)), "")


def languages() -> dict[str, Language]:
    """The rows, by language id."""
    rows = msgspec.json.decode(Path(__file__).with_name("programs.json").read_bytes(), type=list[Language])
    return {row.language: row for row in rows}


def can_execute() -> bool:
    """Whether this system knows limits."""
    return os.name == "posix"


def passes(program: str, language_id: str = "python") -> bool:
    """Whether the program runs to its end without an error. A word that it cannot know tells that it got there."""
    language, word = languages()[language_id], secrets.token_hex(16)
    if language.drops:
        program = re.sub(language.drops, "", program, flags=re.M)
    end = re.search(rf"(?:\s*\}}){{{language.closers}}}\s*\Z", program)
    if not end:
        return False
    told = language.word.replace("{word}", word)
    program = f"{language.before}{program[: end.start()]}\n{told}\n{end[0]}\n"
    with tempfile.TemporaryDirectory(prefix="kruk-benchmark-") as name:
        folder = Path(name)
        (folder / language.file).write_text(program, encoding="utf-8")
        if language.build and _run(_command(language.build, language), folder, dict(os.environ), BUILD_PATIENCE_S)[0]:
            return False
        run = ["command", *_command(language.run, language)] if language.run else ["python", language.file]
        code, said = _limited(run, folder)
        return code == 0 and word.encode() in said.splitlines()


def pytest(folder: Path, *arguments: str) -> tuple[int, str]:
    """Run this Python's pytest in a folder, within the limits; its exit code, and what it said."""
    command = ["command", sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *arguments]
    code, said = _limited(command, folder)
    return code, said.decode("utf-8", "replace")


def _limited(command: list[str], folder: Path) -> tuple[int, bytes]:
    return _run([sys.executable, "-I", "-c", _GUARD, *command], folder, {}, PATIENCE_S)


def _command(command: tuple[str, ...], language: Language) -> list[str]:
    tool = command[0] if command[0].startswith(".") else shutil.which(command[0]) or command[0]
    return [tool, *(part.replace("{file}", language.file) for part in command[1:])]


def _run(command: list[str], folder: Path, env: dict[str, str], patience_s: float) -> tuple[int, bytes]:
    """Run a command, and end it with all its children; its exit code, -1 when it took too long, and what it said."""
    output = folder / "output"
    with output.open("wb") as stream:
        child = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=stream, stderr=subprocess.DEVNULL, cwd=folder, env=env,
            start_new_session=True,
        )  # fmt: skip
        try:
            code = child.wait(patience_s)
        except subprocess.TimeoutExpired:
            code = -1
        finally:
            with contextlib.suppress(ProcessLookupError):  # its own children too
                os.killpg(child.pid, signal.SIGKILL)
            child.wait()
    return code, output.read_bytes()
