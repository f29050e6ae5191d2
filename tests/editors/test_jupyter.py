"""JupyterLab with jupyterlab-lsp as they come, set up as docs/editors/jupyterlab.md says, and the real model."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from lsp_server.model import registry
from lsp_server.model.catalogue import DEFAULT_MODEL
from tests.editors.workbench import ROOT, Window, browser, listening, place, saved, started

pytestmark = [pytest.mark.editor, pytest.mark.model, pytest.mark.timeout(280)]

CELL = ".jp-CodeCell .cm-content"
FILE = ".jp-FileEditor .cm-content"
AREA = "import math\n\n\ndef circle_area(radius):\n    return math.pi * radius ** 2"
SETTINGS = {
    "@jupyterlab/completer-extension/manager": {"providerTimeout": 2000, "autoCompletion": True},
    "@jupyter-lsp/jupyterlab-lsp/completion": {"continuousHinting": True},
}


@pytest.fixture
def lab(jupyter: Mapping[str, Path], default_model: Path, tmp_path: Path) -> Iterator[Window]:
    """A JupyterLab of its own that shows `tmp_path / "work"`, and a browser."""
    work, home = tmp_path / "work", tmp_path / "home"
    work.mkdir()
    kruk = {
        "version": 2,
        "argv": [sys.executable, "-m", "lsp_server", "serve"],
        "languages": ["python"],
        "mime_types": ["text/x-python", "text/x-ipython"],
        "display_name": "Kruk",
    }
    write(home / "jupyter_server_config.json", {"LanguageServerManager": {"language_servers": {"kruk": kruk}}})
    models = home / "kruk" / "models"
    models.mkdir(parents=True)
    place(default_model, models / registry.find(DEFAULT_MODEL)[1].file)
    for name, value in SETTINGS.items():
        write(home / "lab" / "user-settings" / f"{name}.jupyterlab-settings", value)
    own = {"HOME": home, "JUPYTER_CONFIG_DIR": home, "JUPYTER_DATA_DIR": home / "data", "KRUK_HOME": home / "kruk"}
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **{name: str(path) for name, path in own.items()}}
    serving = [
        str(jupyter["jupyter"]), "--no-browser", "--allow-root", "--ip", "127.0.0.1", "--port", "0",
        "--IdentityProvider.token=", f"--ServerApp.root_dir={work}",
    ]  # fmt: skip
    log = tmp_path / "jupyter.log"
    with log.open("wb") as out, started(serving, env=environment, stdout=out, stderr=out) as server:
        address = listening(server, log, r"(http://127\.0\.0\.1:\d+/)lab")
        with browser(jupyter) as driver:
            yield Window(server.pid, driver, address, home, work)


def write(file: Path, value: object) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(value))


def visit(lab: Window, name: str, editor: str) -> None:
    """Open a file, and wait until its language server has been told of it."""
    lab.ask("visit", url=f"{lab.address}lab/tree/{name}", selector=editor)
    until(lambda: "Fully initialized" in "".join(lab.ask("texts", selector="#jp-bottom-panel, .jp-StatusBar-Widget")))


def until(look: Any, seconds: float = 60) -> Any:
    end = time.monotonic() + seconds
    while not (value := look()):
        assert time.monotonic() < end, "not in time"
        time.sleep(0.2)
    return value


def suggestion(lab: Window) -> str:
    """The item of Kruk's that is first in the list; asked for with Tab again where the model was not fast enough."""

    def look() -> str:
        first = next(iter(lab.ask("texts", selector=".jp-Completer-item")), "")
        if first.endswith("\nKruk"):
            return str(first.removesuffix("\nKruk"))
        if first:
            lab.ask("press", key="Escape")
        lab.ask("press", key="Tab")
        time.sleep(2)
        return ""

    return str(until(look))


def test_suggestions_in_a_file_and_in_a_notebook(lab: Window, tmp_path: Path) -> None:
    with lab.pictured(tmp_path):
        file = lab.workspace / "shapes.py"
        file.write_text(AREA + "\n\n\n")
        visit(lab, "shapes.py", FILE)
        lab.ask("click", selector=FILE)
        lab.ask("press", key="Control+End")
        lab.ask("type", text="def square_area(side):\nret")
        line = suggestion(lab)
        assert line.startswith("return ")
        lab.ask("press", key="Enter")
        lab.ask("press", key="Control+s")
        expected = f"{AREA}\n\n\ndef square_area(side):\n    {line}"
        assert saved(file, expected) == expected

        write(lab.workspace / "shapes.ipynb", notebook(AREA, ""))
        visit(lab, "shapes.ipynb", CELL)
        lab.ask("click", selector=CELL, n=1)
        lab.ask("type", text="def area_of_all(radii):\ntotal = 0\nfo")
        line = suggestion(lab)
        assert line.startswith("for ")
        lab.ask("press", key="Enter")
        cell = lab.ask("texts", selector=CELL)[1]
        assert cell.startswith(f"def area_of_all(radii):\n    total = 0\n    {line}\n        ")  # with what it opens


def notebook(*cells: str) -> dict[str, Any]:
    kept = [
        {"cell_type": "code", "id": f"c{n}", "execution_count": None, "metadata": {}, "outputs": [], "source": cell}
        for n, cell in enumerate(cells)
    ]
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    language = {"name": "python", "mimetype": "text/x-python", "file_extension": ".py"}
    metadata = {"kernelspec": kernel, "language_info": language}
    return {"cells": kept, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}
