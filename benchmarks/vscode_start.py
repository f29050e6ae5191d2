"""How long it takes in VS Code from opening the workbench to the first suggestion, and whose time that is.

usage: python benchmarks/vscode_start.py [-n RUNS]   (needs what tests/editors needs: KRUK_CODE_SERVER, Chromium)
The first run is in a new profile; all have a new window. Prints one JSON object a run, times in milliseconds.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests" / "editors"))

from tests.conftest import DEFAULT_MODEL, real_model
from tests.editors.conftest import find_code_server
from tests.editors.workbench import Window, package, workbench

PATIENCE_S = 60
TYPED = "def circumference(radius):\nreturn"
BEFORE = "import math\n\n\ndef circle_area(radius):\n    return math.pi * radius ** 2\n\n\n"


def main() -> None:
    """Run the workbench and print what was measured."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-n", type=int, default=3, metavar="RUNS")
    n_runs = parser.parse_args().n
    found = find_code_server()
    if found.missing:
        raise SystemExit(found.missing)
    settings = {
        "kruk.server.command": [sys.executable, "-m", "lsp_server", "serve"],
        "kruk.model": str(real_model(DEFAULT_MODEL)),
    }
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        vsix = package(found.parts, folder)
        print(json.dumps({"vsixBytes": vsix.stat().st_size}))
        with workbench(found.parts, vsix, folder / "workbench", settings) as window:
            for number in range(n_runs):
                print(json.dumps(measured(window, f"start{number}.py")), flush=True)


def measured(window: Window, name: str) -> dict[str, Any]:
    """Open a window, type as soon as there is an editor, and wait for the suggestion."""
    n_logged = len(window.log())
    started = time.monotonic()
    window.open(name, BEFORE)
    opened = time.monotonic()
    window.ask("type", text=TYPED)
    typed = time.monotonic()
    while not window.ask("ghost", ms=5_000):  # what is typed before the server runs, VS Code asks nobody about
        if typed - started > PATIENCE_S:
            raise SystemExit("no suggestion came")
        window.ask("press", key="Backspace")
        window.ask("type", text=TYPED[-1])
        typed = time.monotonic()
    shown = time.monotonic()
    window.status("^Kruk: ready$")
    window.ask("run", title="Kruk: Why Was Nothing Suggested?")
    window.ask("notifications", part="The last request")
    log = window.log()[n_logged:]
    last = json.loads(re.findall(r"Last completion: (.*)", log)[-1])
    return {
        "openToEditor": ms(opened - started),
        "openToSuggestion": ms(shown - started),
        "lastKeyToSuggestion": ms(shown - typed),
        "extension": {
            "activation": window.ask("activation", name="Kruk"),
            "ownCode": figure(log, r"Activated in ([\d.]+) ms"),
        },
        "server": {
            "startToAnswer": figure(log, r"The server answered (\d+) ms"),
            "startToModel": figure(log, r"The model is ready (\d+) ms"),
            "lastRequest": last["totalMs"],
        },
    }


def ms(seconds: float) -> int:
    return round(seconds * 1e3)


def figure(log: str, pattern: str) -> float | None:
    found = re.findall(pattern, log)
    return float(found[-1]) if found else None


if __name__ == "__main__":
    main()
