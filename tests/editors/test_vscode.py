"""The VS Code extension in a real workbench: code-server, shown by Chromium, typed into as a person types."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import urllib.parse
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
DRIVER = Path(__file__).with_name("vscode_drive.js")

pytestmark = [pytest.mark.editor, pytest.mark.timeout(240)]

BEFORE = """\
import math


def circle_area(radius):
    return math.pi * radius ** 2


"""

QUIET = {
    "security.workspace.trust.enabled": False,
    "chat.disableAIFeatures": True,
    "workbench.startupEditor": "none",
    "workbench.secondarySideBar.defaultVisibility": "hidden",
    "workbench.tips.enabled": False,
    "extensions.autoCheckUpdates": False,
    "extensions.autoUpdate": False,
    "telemetry.telemetryLevel": "off",
    "files.autoSave": "off",
    # A list of words from the file would stand over the ghost text.
    "editor.quickSuggestions": {"other": "off", "comments": "off", "strings": "off"},
    "editor.wordBasedSuggestions": "off",
}


class Window:
    """One browser window with VS Code in it."""

    def __init__(self, driver: subprocess.Popen[str], address: str, data: Path, workspace: Path) -> None:
        self.workspace = workspace
        self._data = data
        self._driver = driver
        self._address = address

    def ask(self, do: str, **given: Any) -> Any:
        """Have the driver do one thing and return its answer."""
        assert self._driver.stdin and self._driver.stdout
        self._driver.stdin.write(json.dumps({"do": do, **given}) + "\n")
        self._driver.stdin.flush()
        line = self._driver.stdout.readline()
        assert line, "the browser's driver has ended"
        answer = json.loads(line)
        assert "error" not in answer, answer["error"]
        return answer["value"]

    def configure(self, settings: Mapping[str, Any]) -> None:
        """Write the user's settings, as the settings editor would."""
        configure(self._data, settings)

    def open(self, name: str, content: str) -> Path:
        """Write a file into the workspace, open it and put the cursor at its end."""
        file = self.workspace / name
        file.write_text(content, encoding="utf-8")
        host = urllib.parse.urlsplit(self._address).netloc
        payload = json.dumps([["openFile", f"vscode-remote://{host}{urllib.parse.quote(str(file))}"]])
        query = urllib.parse.urlencode({"folder": str(self.workspace), "payload": payload})
        self.ask("open", url=f"{self._address}?{query}")
        self.ask("end")
        return file

    def status(self, pattern: str, seconds: float = 60) -> str:
        """Return what the status bar item is called, once that matches."""
        shown: dict[str, str] = self.ask("status", pattern=pattern, ms=seconds * 1000)
        assert re.search(pattern, shown["label"]), f"the status bar says {shown}"
        return shown["label"]

    @contextmanager
    def pictured(self, folder: Path) -> Iterator[None]:
        """Take a screenshot at the end, and keep it under KRUK_SCREENSHOTS when the test fails."""
        picture = folder / f"{folder.name}.png"
        try:
            yield
        except BaseException:
            self.ask("screenshot", file=str(picture))
            if kept := os.environ.get("KRUK_SCREENSHOTS"):
                Path(kept).mkdir(parents=True, exist_ok=True)
                shutil.copy(picture, kept)
            raise
        self.ask("screenshot", file=str(picture))


@pytest.fixture(scope="session")
def vsix(code_server: Mapping[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The packaged extension, built in a copy, so that the checkout stays as it is."""
    copy = tmp_path_factory.mktemp("extension") / "vscode"
    ignored = shutil.ignore_patterns("node_modules", "dist", "build", "*.vsix")
    shutil.copytree(ROOT / "editors" / "vscode", copy, ignore=ignored)
    (copy / "node_modules").symlink_to(code_server["node_modules"], target_is_directory=True)
    built = subprocess.run(
        ["npm", "run", "package"], cwd=copy, capture_output=True, text=True, timeout=120, check=False
    )
    assert built.returncode == 0, built.stdout + built.stderr
    return copy / "kruk.vsix"


@contextmanager
def workbench(parts: Mapping[str, Path], vsix: Path, folder: Path, settings: Mapping[str, Any]) -> Iterator[Window]:
    """Run code-server with the extension and these settings, and a browser that shows it, all in `folder`."""
    data, workspace = folder / "data", folder / "workspace"
    workspace.mkdir(parents=True)
    configure(data, settings)
    code_server = [
        str(parts["code_server"]), "--config", str(folder / "config.yaml"),
        "--user-data-dir", str(data), "--extensions-dir", str(folder / "extensions"),
    ]  # fmt: skip
    environment = os.environ | {"PYTHONPATH": str(ROOT), "KRUK_HOME": str(folder / "kruk")}
    installing = [*code_server, "--install-extension", str(vsix)]
    installed = subprocess.run(installing, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert installed.returncode == 0, installed.stdout + installed.stderr

    serving = [
        *code_server, "--bind-addr", "127.0.0.1:0", "--auth", "none",
        "--disable-telemetry", "--disable-update-check", "--disable-getting-started-override",
    ]  # fmt: skip
    driving = ["node", str(DRIVER), str(parts["node_modules"]), str(parts["chromium"])]
    log = folder / "code-server.log"
    with log.open("wb") as out, started(serving, env=environment, stdout=out, stderr=out) as server:
        address = listening(server, log)
        pipe = subprocess.PIPE
        with started(driving, stdin=pipe, stdout=pipe, text=True) as driver:
            yield Window(driver, address, data, workspace)


def configure(data: Path, settings: Mapping[str, Any]) -> None:
    """Write the settings files; those of the scope "machine" are read from the second one alone."""
    for place in ("User", "Machine"):
        (data / place).mkdir(parents=True, exist_ok=True)
        (data / place / "settings.json").write_text(json.dumps(QUIET | settings))


@contextmanager
def started(command: list[str], **options: Any) -> Iterator[subprocess.Popen[Any]]:
    """Start a program, and end it and all that it started however the block is left."""
    process = subprocess.Popen(command, start_new_session=True, **{"stdin": subprocess.DEVNULL} | options)
    try:
        yield process
    finally:
        if process.stdin:
            with suppress(OSError):
                process.stdin.close()
            with suppress(subprocess.TimeoutExpired):
                process.wait(10)
        for wanted in (signal.SIGTERM, signal.SIGKILL):
            with suppress(ProcessLookupError):
                os.killpg(process.pid, wanted)
            with suppress(subprocess.TimeoutExpired):
                process.wait(5)
        if process.stdout:
            process.stdout.close()


def listening(server: subprocess.Popen[Any], log: Path, seconds: float = 30) -> str:
    """Return the address that code-server says it listens on."""
    until = time.monotonic() + seconds
    while time.monotonic() < until and server.poll() is None:
        if found := re.search(r"listening on (http://127\.0\.0\.1:\d+/)", log.read_text(errors="replace")):
            return found[1]
        time.sleep(0.1)
    raise AssertionError(f"code-server did not start:\n{log.read_text(errors='replace')}")


@pytest.fixture(scope="module")
def window(
    code_server: Mapping[str, Path], vsix: Path, default_model: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Window]:
    """A workbench in which the extension runs this checkout's server with a real model."""
    settings = {
        "kruk.server.command": [sys.executable, "-m", "lsp_server", "serve"],
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
                "buttons": ["Open Settings", "How to Install"],
            }
        ]
        window.ask("pressButton", name="How to Install")
        window.ask("heading", text="Installing the Kruk server")

        ends = [sys.executable, "-c", "raise SystemExit(3)"]
        window.configure({"kruk.server.command": ends})
        assert window.ask("notifications", part="Kruk: The server ended") == [
            {
                "text": "Kruk: The server ended as soon as it was started. The log has what it wrote.",
                "buttons": ["Show Log", "Open Settings", "How to Install"],
            }
        ]


def saved(file: Path, expected: str, seconds: float = 10) -> str:
    """Return the file's text once it is the expected one, else the last one seen."""
    until = time.monotonic() + seconds
    while (text := file.read_text(encoding="utf-8")) != expected and time.monotonic() < until:
        time.sleep(0.1)
    return text
