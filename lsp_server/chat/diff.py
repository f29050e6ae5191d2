"""What has changed in a working tree since the last commit, as git says it. Runs git, no shell and no hook."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

from lsp_server.errors import KrukError

LIMIT_S = 5.0
MAX_FILES = 100
MAX_BYTES = 400_000


def diff(folder: Path, is_excluded: Callable[[str], bool]) -> tuple[str, list[str]]:
    """The diff, staged or not, without excluded files; and the paths of those. Raises KrukError."""
    git = shutil.which("git")
    if git is None or Path(git).resolve().is_relative_to(folder.resolve()):
        raise KrukError("git is not installed", "Install it, or mention files instead")
    names = _run(git, folder, "--name-only", "-z").split("\0")[:-1]
    shown = [name for name in names if not is_excluded(name)]
    left_out = [name for name in names if is_excluded(name)] + shown[MAX_FILES:]
    return (_run(git, folder, "--", *shown[:MAX_FILES]) if shown else ""), left_out


def _run(git: str, folder: Path, *arguments: str) -> str:
    command = [
        git, "--no-optional-locks", "--literal-pathspecs", "-c", "core.fsmonitor=false", "-c", "core.quotePath=false",
        "-C", str(folder), "diff", "--no-color", "--no-ext-diff", "--no-textconv", "--no-renames", "--relative",
        "HEAD", *arguments,
    ]  # fmt: skip
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=LIMIT_S, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise KrukError(f"git did not answer: {error}", "Mention files instead") from error
    if done.returncode:
        said = done.stderr.decode("utf-8", "replace").strip().partition("\n")[0]
        raise KrukError(f"git has no diff of `{folder}`: {said}", "Mention files instead")
    return done.stdout[:MAX_BYTES].decode("utf-8", "replace")
