"""The VS Code extension in a real workbench: code-server, shown by Chromium, typed into as a person types."""

from __future__ import annotations

import json
import sys
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.editors.workbench import Window, package_probe, saved, workbench, written

pytestmark = [pytest.mark.editor, pytest.mark.timeout(240)]

SERVER = {"kruk.server.command": [sys.executable, "-m", "lsp_server", "serve"]}

BEFORE = """\
import math


def circle_area(radius):
    return math.pi * radius ** 2


"""


@pytest.fixture(scope="module")
def window(
    code_server: Mapping[str, Path], vsix: Path, default_model: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Window]:
    """A workbench in which the extension runs this checkout's server with a real model."""
    settings = {
        **SERVER,
        "kruk.model": str(default_model),
    }
    with workbench(code_server, vsix, tmp_path_factory.mktemp("workbench"), settings) as opened:
        yield opened


@pytest.mark.model
@pytest.mark.parametrize(
    "typed", ["def circumference(radius):\n    return", "def sphere_volume(radius):\n    if radius < 0:"]
)
def test_typing_shows_ghost_text_and_tab_accepts_it(window: Window, tmp_path: Path, typed: str) -> None:
    with window.pictured(tmp_path):
        file = window.open(f"{tmp_path.name}.py", BEFORE)
        assert window.status("^Kruk: ready$") == "Kruk: ready"
        window.ask("type", text=typed.replace("\n    ", "\n"))  # the editor indents by itself

        ghost = window.ask("ghost", ms=30_000)
        window.ask("screenshot", file=str(tmp_path / "ghost.png"))
        assert ghost, "no ghost text"
        window.ask("press", key="Tab")
        window.ask("press", key="Control+s")

        expected = BEFORE + typed + ghost
        assert saved(file, expected) == expected


@pytest.mark.model
def test_the_menu_turns_completions_off_and_on_and_says_why_there_was_none(window: Window, tmp_path: Path) -> None:
    with window.pictured(tmp_path):
        window.open("off.py", BEFORE)
        window.status("^Kruk: ready$")
        window.ask("choose", entry="Turn completions off")
        window.status("^Kruk: off$")
        window.ask("end")
        window.ask("type", text="def circumference(radius):\nreturn")
        assert window.ask("ghost", ms=2_000) == ""

        window.ask("choose", entry="Why was nothing suggested?")
        assert len(window.ask("notifications", part="Nothing was suggested: ")) == 1

        window.ask("choose", entry="Turn completions on")
        window.status("^Kruk: ready$")


def test_a_server_that_is_missing_or_ends_at_once_is_said_once_with_help(
    code_server: Mapping[str, Path], vsix: Path, tmp_path: Path
) -> None:
    settings = {"kruk.server.command": ["/gone/kruk"]}
    with workbench(code_server, vsix, tmp_path / "workbench", settings) as window, window.pictured(tmp_path):
        window.open("lost.py", BEFORE)
        window.status("^Kruk: error$")
        assert window.ask("notifications", part="Kruk: ") == [
            {
                "text": "Kruk: The server was not found: no program at /gone/kruk.",
                "buttons": ["Get Started", "Open Settings"],
            }
        ]
        window.ask("pressButton", name="Get Started")
        assert set(window.ask("steps").values()) == {False}

        ends = [sys.executable, "-c", "raise SystemExit(3)"]
        assert window.told_after({"kruk.server.command": ends}, "Kruk: The server ended") == [
            {
                "text": "Kruk: The server ended as soon as it was started. The log has what it wrote.",
                "buttons": ["Show Log", "Open Settings", "Get Started"],
            }
        ]


def test_other_extensions_can_ask_the_model(
    code_server: Mapping[str, Path], vsix: Path, default_model: Path, tmp_path: Path
) -> None:
    settings = SERVER | {"kruk.model": str(default_model), "chat.disableAIFeatures": False}
    both = [vsix, package_probe(code_server, tmp_path)]
    with workbench(code_server, both, tmp_path / "workbench", settings) as window, window.pictured(tmp_path):
        window.open("asked.py", BEFORE)
        window.status("^Kruk: ready$")
        window.ask("run", title="Probe: Ask")
        told = json.loads(written(window.workspace / "told.json"))
        assert told["name"].startswith("Kruk: ") and 3 < told["tokens"] < 12
        assert "hello" in told["text"].lower()


def test_a_workspace_that_is_not_trusted_chooses_no_model(
    code_server: Mapping[str, Path], vsix: Path, default_model: Path, tmp_path: Path
) -> None:
    settings = {
        "security.workspace.trust.enabled": True,
        "security.workspace.trust.startupPrompt": "never",
        "security.workspace.trust.banner": "never",
        "security.workspace.trust.untrustedFiles": "open",
        **SERVER,
        "kruk.model": str(default_model),
    }
    with workbench(code_server, vsix, tmp_path / "workbench", settings) as window, window.pictured(tmp_path):
        (window.workspace / ".vscode").mkdir()
        theirs = {"kruk.model": "/their/model.gguf", "kruk.server.command": ["/their/program"]}
        (window.workspace / ".vscode" / "settings.json").write_text(json.dumps(theirs))
        window.open("theirs.py", BEFORE)
        window.status("^Kruk: ready$")


def test_the_server_is_installed_into_an_environment_of_its_own(
    code_server: Mapping[str, Path], vsix: Path, default_model: Path, tmp_path: Path
) -> None:
    """From nothing to a server that answers; the wheel stands for Kruk's own, whose llama.cpp takes ten minutes."""
    settings = {"kruk.server.package": str(wheel(tmp_path)), "kruk.model": str(default_model)}
    with workbench(code_server, vsix, tmp_path / "workbench", settings) as window, window.pictured(tmp_path):
        window.open("new.py", BEFORE)
        window.status("^Kruk: error$")
        window.ask("run", title="Kruk: Install Server")
        window.status("^Kruk: ready$", 90)


def wheel(folder: Path) -> Path:
    """A package `kruk` whose program is this checkout's server, in this Python."""
    path = folder / "kruk-0.0.1-py3-none-any.whl"
    words = f"[{sys.executable!r}, '-m', 'lsp_server', *sys.argv[1:]]"
    program = f"import os, sys\ndef main():\n    os.execv({sys.executable!r}, {words})\n"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("kruk_here.py", program)
        archive.writestr("kruk-0.0.1.dist-info/METADATA", "Metadata-Version: 2.1\nName: kruk\nVersion: 0.0.1\n")
        archive.writestr(
            "kruk-0.0.1.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr("kruk-0.0.1.dist-info/entry_points.txt", "[console_scripts]\nkruk = kruk_here:main\n")
        archive.writestr("kruk-0.0.1.dist-info/RECORD", "")
    return path
