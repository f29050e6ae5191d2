"""A real VS Code workbench for tests: code-server, shown by Chromium, typed into as a person types."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import time
import urllib.parse
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil

ROOT = Path(__file__).parents[2]
DRIVER = Path(__file__).with_name("vscode_drive.js")
LISTENING = r"listening on (http://127\.0\.0\.1:\d+/)"

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

    def __init__(self, server: int, driver: subprocess.Popen[str], address: str, data: Path, workspace: Path) -> None:
        self.workspace = workspace
        self._server = server
        self._data = data
        self._driver = driver
        self.address = address

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

    def told_after(self, settings: Mapping[str, Any], part: str) -> Any:
        """Write the user's settings, as the settings editor would, and return the notifications that follow."""
        for n in range(8):  # VS Code may not watch the file yet
            configure(self._data, {**settings, "window.title": f"{n}"})
            if told := self.ask("notifications", part=part, ms=5000):
                return told
        raise AssertionError(f"no message with {part!r}")

    def open(self, name: str, content: str) -> Path:
        """Write a file into the workspace, open it and put the cursor at its end."""
        file = self.workspace / name
        file.write_text(content, encoding="utf-8")
        host = urllib.parse.urlsplit(self.address).netloc
        payload = json.dumps([["openFile", f"vscode-remote://{host}{urllib.parse.quote(str(file))}"]])
        query = urllib.parse.urlencode({"folder": str(self.workspace), "payload": payload})
        self.ask("open", url=f"{self.address}?{query}")
        self.ask("end")
        return file

    def status(self, pattern: str, seconds: float = 60) -> str:
        """Return what the status bar item is called, once that matches."""
        shown: dict[str, str] = self.ask("status", pattern=pattern, ms=seconds * 1000)
        assert re.search(pattern, shown["label"]), f"the status bar says {shown}"
        return shown["label"]

    def kruk(self) -> psutil.Process:
        """The server that the extension has started."""
        for process in psutil.Process(self._server).children(recursive=True):
            with suppress(psutil.Error):
                if {"lsp_server", "serve"} <= set(process.cmdline()):
                    return process
        raise AssertionError("no server is running")

    def log(self) -> str:
        """What the extension has logged."""
        return "".join(
            path.read_text(encoding="utf-8") for path in sorted(self._data.glob("logs/*/exthost*/**/Kruk.log"))
        )

    def picture(self, name: str) -> None:
        """Take a picture for the README, if KRUK_PICTURES names a folder for them."""
        if folder := os.environ.get("KRUK_PICTURES"):
            Path(folder).mkdir(parents=True, exist_ok=True)
            self.ask("picture", file=str(Path(folder).absolute() / f"{name}.png"))

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


def package_probe(parts: Mapping[str, Path], folder: Path) -> Path:
    """Pack the extension of the tests that asks Kruk's model."""
    copy = folder / "probe"
    shutil.copytree(Path(__file__).with_name("vscode_probe"), copy)
    vsce = parts["node_modules"] / "@vscode" / "vsce" / "vsce"
    options = ["--no-dependencies", "--allow-missing-repository", "--skip-license", "--out", "probe.vsix"]
    subprocess.run(["node", str(vsce), "package", *options], cwd=copy, capture_output=True, timeout=60, check=True)
    return copy / "probe.vsix"


def package(parts: Mapping[str, Path], folder: Path) -> Path:
    """Build the extension in a copy, so that the checkout stays as it is."""
    copy = folder / "vscode"
    ignored = shutil.ignore_patterns("node_modules", "dist", "build", "*.vsix")
    shutil.copytree(ROOT / "editors" / "vscode", copy, ignore=ignored)
    (copy / "node_modules").symlink_to(parts["node_modules"], target_is_directory=True)
    built = subprocess.run(
        ["npm", "run", "package"], cwd=copy, capture_output=True, text=True, timeout=120, check=False
    )
    assert built.returncode == 0, built.stdout + built.stderr
    return copy / "kruk.vsix"


@contextmanager
def workbench(
    parts: Mapping[str, Path],
    vsix: Path | Sequence[Path],
    folder: Path,
    settings: Mapping[str, Any],
    environment: Mapping[str, str] = {},  # never changed
) -> Iterator[Window]:
    """Run code-server with the extension and these settings, and a browser that shows it, all in `folder`."""
    data, workspace = folder / "data", folder / "workspace"
    workspace.mkdir(parents=True)
    configure(data, settings)
    code_server = [
        str(parts["code_server"]), "--config", str(folder / "config.yaml"),
        "--user-data-dir", str(data), "--extensions-dir", str(folder / "extensions"),
    ]  # fmt: skip
    own = {"PYTHONPATH": str(ROOT), "KRUK_HOME": str(folder / "kruk")}
    environment = {**os.environ, **own, **environment}
    installing = [*code_server]
    for file in [vsix] if isinstance(vsix, Path) else vsix:
        installing += ["--install-extension", str(file)]
    installed = subprocess.run(installing, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert installed.returncode == 0, installed.stdout + installed.stderr

    serving = [
        *code_server, "--bind-addr", "127.0.0.1:0", "--auth", "none",
        "--disable-telemetry", "--disable-update-check", "--disable-getting-started-override",
    ]  # fmt: skip
    log = folder / "code-server.log"
    with log.open("wb") as out, started(serving, env=environment, stdout=out, stderr=out) as server:
        address = listening(server, log)
        with browser(parts) as driver:
            yield Window(server.pid, driver, address, data, workspace)


@contextmanager
def browser(parts: Mapping[str, Path]) -> Iterator[subprocess.Popen[str]]:
    """Run a browser, for `Window` to ask."""
    driving = ["node", str(DRIVER), str(parts["node_modules"]), str(parts["chromium"])]
    pipe = subprocess.PIPE
    with started(driving, stdin=pipe, stdout=pipe, text=True) as driver:
        yield driver


def configure(data: Path, settings: Mapping[str, Any]) -> None:
    """Write the settings files; those of the scope "machine" are read from the second one alone."""
    for place in ("User", "Machine"):
        (data / place).mkdir(parents=True, exist_ok=True)
        (data / place / "settings.json").write_text(json.dumps(QUIET | dict(settings)))


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


def listening(server: subprocess.Popen[Any], log: Path, pattern: str = LISTENING, seconds: float = 30) -> str:
    """Return the address that a server's log says it listens on."""
    until = time.monotonic() + seconds
    while time.monotonic() < until and server.poll() is None:
        if found := re.search(pattern, log.read_text(errors="replace")):
            return found[1]
        time.sleep(0.1)
    raise AssertionError(f"the server did not start:\n{log.read_text(errors='replace')}")


def written(file: Path, part: str = "", seconds: float = 60) -> str:
    """Return the text of a file once it has one, with this in it."""
    until = time.monotonic() + seconds
    while not (file.exists() and (text := file.read_text(encoding="utf-8")) and part in text):
        assert time.monotonic() < until, f"{part!r} is not in {file}"
        time.sleep(0.1)
    return text


def saved(file: Path, expected: str, seconds: float = 10) -> str:
    """Return the file's text once it is the expected one, else the last one seen."""
    until = time.monotonic() + seconds
    while (text := file.read_text(encoding="utf-8")) != expected and time.monotonic() < until:
        time.sleep(0.1)
    return text


def place(file: Path, target: Path) -> None:
    """Make a file be in another place too, at no cost where that is possible."""
    try:
        os.link(file, target)
    except OSError:
        shutil.copy(file, target)
