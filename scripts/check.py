"""The one check: format, lint, types, import contracts, generated files, tests. What CI runs too.

usage: python scripts/check.py [--fix] [pytest arguments]
--fix rewrites what can be rewritten (format, imports, generated files) and runs no tests.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CODE = ["lsp_server", "tests", "scripts", "benchmarks"]


def main(arguments: list[str]) -> int:
    """Run every step, also after one that failed; the exit code says whether all passed."""
    python = [sys.executable, "-m"]
    lint_imports = [sys.executable, "-c", "from importlinter.cli import lint_imports_command as run; run()"]
    generate = [sys.executable, str(ROOT / "scripts" / "generate.py")]
    if arguments[:1] == ["--fix"]:
        steps = [
            ("lint", [*python, "ruff", "check", "--fix", "--quiet", *CODE]),
            ("format", [*python, "ruff", "format", *CODE]),
            ("generated files", generate),
        ]
    else:
        steps = [
            ("format", [*python, "ruff", "format", "--check", *CODE]),
            ("lint", [*python, "ruff", "check", *CODE]),
            ("types", [*python, "mypy"]),
            ("import contracts", lint_imports),
            ("generated files", [*generate, "--check"]),
            ("tests", [*python, "pytest", *arguments]),
        ]
    failed = [name for name, command in steps if not _passes(name, command)]
    print(f"\nfailed: {', '.join(failed)}" if failed else "\nall checks passed", flush=True)
    return 1 if failed else 0


def _passes(name: str, command: list[str]) -> bool:
    print(f"\n== {name}", flush=True)
    started = time.monotonic()
    code = subprocess.run(command, cwd=ROOT, env={**os.environ, "PYTHONUTF8": "1"}, check=False).returncode
    print(f"== {name}: {'passed' if code == 0 else 'FAILED'} ({time.monotonic() - started:.0f} s)", flush=True)
    return code == 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
