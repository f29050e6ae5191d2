"""Run a program that a model has had a part in, with limits. POSIX only.

The limits keep an endless loop or a runaway list from hurting the machine. They are no sandbox: the program can
read what its user can read, and reach the network. Run it in a container without one if that matters.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

PATIENCE_S = 15

# Sets the limits in the child, before anything of the program runs.
_GUARD = """
import resource, runpy, sys
for name, most in (("CPU", 10), ("AS", 2 << 30), ("FSIZE", 1 << 20), ("NOFILE", 64), ("CORE", 0)):
    try:
        resource.setrlimit(getattr(resource, f"RLIMIT_{name}"), (most, most))
    except (AttributeError, ValueError, OSError):
        pass
runpy.run_path(sys.argv[1], run_name="__main__")
"""


def can_execute() -> bool:
    """Whether this system knows limits."""
    return os.name == "posix"


def passes(program: str) -> bool:
    """Whether the program runs to its end without an error. A word that it cannot know tells that it got there."""
    word = secrets.token_hex(16)
    with tempfile.TemporaryDirectory(prefix="kruk-benchmark-") as folder:
        path, output = Path(folder) / "program.py", Path(folder) / "output"
        path.write_text(f"{program}\nprint()\nprint('{word}')\n", encoding="utf-8")
        with output.open("wb") as stream:
            child = subprocess.Popen(
                [sys.executable, "-I", "-c", _GUARD, str(path)],
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=subprocess.DEVNULL,
                cwd=folder,
                env={},
                start_new_session=True,
            )
            try:
                code = child.wait(PATIENCE_S)
            except subprocess.TimeoutExpired:
                code = -1
            finally:
                with contextlib.suppress(ProcessLookupError):  # its own children too
                    os.killpg(child.pid, signal.SIGKILL)
                child.wait()
        return code == 0 and output.read_bytes().rstrip().endswith(word.encode())
