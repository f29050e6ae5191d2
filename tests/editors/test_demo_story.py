"""`kruk demo` in a terminal with the real model. With KRUK_PICTURES=docs/pictures it makes the README's recording."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from pathlib import Path

import pytest

from lsp_server.model import registry
from lsp_server.model.catalogue import DEFAULT_MODEL
from tests.editors.recording import Recording
from tests.editors.terminal import Terminal
from tests.editors.workbench import ROOT, place

pytestmark = [pytest.mark.editor, pytest.mark.model]


def test_the_demo_completes_and_explains(tmux: Mapping[str, Path], default_model: Path, tmp_path: Path) -> None:
    models = tmp_path / "kruk" / "models"
    models.mkdir(parents=True)
    place(default_model, models / registry.find(DEFAULT_MODEL)[1].file)
    environment = {
        "KRUK_HOME": str(tmp_path / "kruk"),
        "PYTHONPATH": str(ROOT),
        "TERM": "xterm-256color",
        "PS1": "$ ",
    }
    environment |= {"PATH": os.pathsep.join([str(tmux["kruk"].parent), os.environ["PATH"]])}
    recording = Recording()
    terminal = Terminal(tmp_path, ["bash", "--noprofile", "--norc"], environment, n_lines=30)

    def ended() -> bool:
        recording.add(terminal.cells)
        time.sleep(0.1)
        return "tokens" in terminal.screen and terminal.screen.rstrip().endswith("$")

    try:
        terminal.until(lambda: terminal.screen.strip() == "$", "the shell")
        for key in "kruk demo\n":
            terminal.type(key)
            recording.add(terminal.cells)
        terminal.until(ended, "the demo to end", 120)
        recording.add(terminal.cells)
        shown = terminal.screen
    finally:
        terminal.close()
    assert "Completion: return sum(" in shown and "ms" in shown
    assert "Explanation of class Basket" in shown and "Basket" in shown.split("Explanation of class Basket")[1]
    if folder := os.environ.get("KRUK_PICTURES"):
        recording.write(Path(folder) / "demo.svg", "kruk demo in a terminal")
