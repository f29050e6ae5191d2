"""The hour after the installation, in a real workbench with real models, from a clean profile on.

With KRUK_PICTURES=docs/pictures it takes the pictures of the README on the way.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from lsp_server.model import registry
from lsp_server.model.catalogue import DEFAULT_MODEL
from tests.conftest import real_model
from tests.editors.workbench import Window, place, saved, workbench, written

pytestmark = [pytest.mark.editor, pytest.mark.model, pytest.mark.timeout(280)]

SMALL = "smollm2-135m-instruct"

SHAPES = """\
import math


def circle_area(radius):
    return math.pi * radius ** 2


def sphere_volume(radius):
    return 4 / 3 * math.pi * radius ** 3


"""

TOTAL = """\
export function total(prices: number[]): number {
  let sum = 0
  for (const price of prices) {
    sum += prise
  }
  return sum
}
"""


@pytest.fixture(scope="module")
def small_model() -> Path:
    """A second model, to switch to."""
    return real_model(SMALL)


@pytest.fixture
def clean(
    code_server: Mapping[str, Path], vsix: Path, default_model: Path, small_model: Path, tmp_path: Path
) -> Iterator[Window]:
    """A clean profile on a machine with `kruk` on PATH, whose download of the default model was interrupted.

    It was at its end, so that what is left of it, the check of the hash, needs no network.
    """
    home, programs, models = tmp_path / "home", tmp_path / "bin", tmp_path / "kruk" / "models"
    for folder in (home, programs, models):
        folder.mkdir(parents=True)
    (home / ".profile").write_text(f'PATH="{programs}:$PATH"\n')  # VS Code asks the login shell for the PATH
    program = programs / "kruk"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m lsp_server "$@"\n')
    program.chmod(0o755)
    place(default_model, models / f"{registry.find(DEFAULT_MODEL)[1].file}.part")
    place(small_model, models / registry.find(SMALL)[1].file)
    environment = {"KRUK_HOME": str(tmp_path / "kruk"), "HOME": str(home), "SHELL": "/bin/bash"}
    with workbench(code_server, vsix, tmp_path / "workbench", {}, environment) as window:
        yield window


def test_the_first_hour(clean: Window, tmp_path: Path) -> None:
    with clean.pictured(tmp_path):
        tell_the_story(clean)


def tell_the_story(window: Window) -> None:
    """One thing after the other, as a person would do them."""
    shapes = window.open("shapes.py", SHAPES)
    (window.workspace / "total.ts").write_text(TOTAL)

    # The walkthrough, from the model that is missing to a suggestion that is accepted.
    window.status("^Kruk: no model yet$")
    [missing] = window.ask("notifications", part="is not on this machine")
    assert missing["buttons"] == ["Download", "Choose Another"]
    window.ask("run", title="Kruk: Get Started")
    window.ask("stepDone", title="Start the server")
    steps = window.ask("steps")
    assert not steps["Get a model"] and not steps["Accept a suggestion"]
    window.ask("openStep", title="Get a model")
    window.ask("stepButton", name="Download Model")
    window.status("^Kruk: ready$")
    window.ask("stepDone", title="Get a model")
    window.ask("openStep", title="Accept a suggestion")
    window.picture("walkthrough")
    window.ask("stepButton", name="Open an Example")
    assert "fahrenheit" in window.ask("ghost", ms=30_000)
    window.ask("press", key="Tab")
    window.ask("run", title="Kruk: Get Started")
    window.ask("stepDone", title="Accept a suggestion")

    # A suggestion in a file of one's own: a word of it, then the rest.
    window.ask("tab", name="shapes.py")
    window.ask("end")
    window.ask("type", text="def cylinder_volume(radius, height):\nreturn")
    ghost = window.ask("ghost", ms=30_000)
    assert "radius" in ghost
    window.picture("suggestion")
    window.ask("press", key="Control+ArrowRight")
    rest = window.ask("ghost", ms=10_000)
    assert rest and ghost.endswith(rest) and rest != ghost
    window.ask("press", key="Tab")
    window.ask("press", key="Control+s")
    expected = f"{SHAPES}def cylinder_volume(radius, height):\n    return{ghost}"
    assert saved(shapes, expected) == expected

    # Explain, from the editor's menu; then a question about it, and its code applied.
    window.ask("goTo", line=5, column=8)
    window.ask("contextMenu", entry="Explain")
    [asked, explained] = window.ask("chatTurns", n=2)
    assert asked["text"].startswith("Explain circle_area.") and "math.pi * radius" in asked["code"][0]
    assert not explained["failure"] and "circle" in explained["text"]
    window.ask("askChat", text="Rewrite it so that it raises ValueError when radius is negative.")
    *_, answer = window.ask("chatTurns", n=4)
    assert "raise ValueError" in answer["code"][0]
    assert window.ask("chatCode", button="Copy") == "Copied."
    said = window.ask("chatCode", button="Apply")
    assert said.startswith("Applied to shapes.py")
    window.picture("chat")
    window.ask("press", key="Control+s")
    text = written(shapes, "raise ValueError")
    assert text.count("def circle_area") == 1 and text.endswith(ghost)

    # Fix, from the menu of the light bulb, what VS Code's TypeScript has found.
    window.open("total.ts", TOTAL)
    window.ask("problems", n=1)
    window.status("^Kruk: ready$")
    window.ask("goTo", line=4, column=14)
    window.ask("codeAction", title="Kruk: Fix")
    fixed = TOTAL.replace("prise", "price")
    window.ask("untilEditor", text="sum += price")
    window.ask("press", key="Control+s")
    assert saved(window.workspace / "total.ts", fixed) == fixed

    # Another model, and back.
    for name in (SMALL, DEFAULT_MODEL):
        window.ask("choose", entry="Choose model")
        window.ask("pick", text=name)
        window.ask("menuSays", text=name)
    window.status("^Kruk: ready$")

    # The server is killed: it is said, and goes on.
    window.kruk().kill()
    [crashed] = window.ask("notifications", part="has ended unexpectedly")
    assert crashed["buttons"] == ["Show Log"]
    window.status("^Kruk: ready$")
    window.ask("end")
    window.ask("type", text="\nexport function average(prices: number[]): number {\nreturn")
    assert window.ask("ghost", ms=30_000)
