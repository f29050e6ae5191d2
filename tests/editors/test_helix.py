"""Helix, and no Kruk in it but the lines of its configuration: suggestions, actions, chats, commands by name."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.editors.terminal import Terminal

pytestmark = pytest.mark.editor

ROOT = Path(__file__).parents[2]
CODE = "x = 1\n\n\ndef add(a, b):\n    return a - b\n"
CONFIGURATION = """
[language-server.kruk]
command = {command}
args = {arguments}

[[language]]
name = "python"
language-servers = ["kruk"]

[[language]]
name = "markdown"
language-servers = ["kruk"]
"""


class Helix:
    """A Helix on a terminal, with a file open."""

    def __init__(self, helix: Path, home: Path, file: Path, server: list[str]) -> None:
        self._file = file
        configuration = home / "config" / "helix"
        configuration.mkdir(parents=True)
        command, arguments = json.dumps(sys.executable), json.dumps(server)
        text = CONFIGURATION.format(command=command, arguments=arguments)
        (configuration / "languages.toml").write_text(text, encoding="utf-8")
        environment = {
            "HOME": str(home),
            "KRUK_HOME": str(home / "kruk"),
            "PYTHONPATH": str(ROOT),
            "TERM": "xterm-256color",
            "XDG_CACHE_HOME": str(home / "cache"),
            "XDG_CONFIG_HOME": str(home / "config"),
        }
        self.terminal = Terminal(home, ["env", "-C", str(file.parent), str(helix), file.name], environment)
        self.terminal.until(lambda: "NOR" in self.terminal.screen, "Helix to start")

    def shows(self, text: str, seconds: float = 30) -> None:
        """Wait until a text is on the screen."""
        self.terminal.until(lambda: text in self.terminal.screen, text, seconds)

    def command(self, line: str) -> None:
        self.terminal.press("Escape")
        self.terminal.type(f":{line}\n")

    @property
    def text(self) -> str:
        """The text of the file, which is saved for it."""
        self.command("w")
        return self._file.read_bytes().decode()

    def menu(self) -> list[str]:
        """Open the menu of code actions, as soon as the server is there; the lines of the screen that are in it."""

        def opened() -> list[str]:
            self.terminal.press("Escape")
            self.terminal.type(" a")
            try:
                self.shows("Kruk: ", 2)
            except AssertionError:
                return []
            return [line for line in self.terminal.screen.split("\n") if "Kruk: " in line]

        return self.terminal.until(opened, "the actions")

    def act(self, title: str) -> None:
        """Choose a code action by its title."""
        at = next(n for n, line in enumerate(self.menu()) if title in line)
        self.terminal.press(*["C-n"] * at, "Enter")


@pytest.fixture
def start(helix: Path, tmp_path: Path, project: Path) -> Iterator[Callable[..., Helix]]:
    started: list[Helix] = []

    def begin(name: str, text: str, script: object) -> Helix:
        (project / name).write_bytes(text.encode())
        (tmp_path / "script.json").write_text(json.dumps(script))
        server = ["-m", "tests.fake_server", str(tmp_path / "script.json")]
        started.append(Helix(helix, tmp_path, project / name, server))
        return started[-1]

    yield begin
    for one in started:
        one.terminal.close()


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_a_suggestion_is_inserted_as_it_is(start: Callable[..., Helix], newline: str) -> None:
    head, rest = f"{CODE}\n\ndef show(price):\n    ", "if price:\n        print(f'${price}')\n"
    helix = start("sums.py", f"{head}\n".replace("\n", newline), {"knows": [head + rest]})
    helix.menu()
    helix.terminal.press("Escape")
    helix.terminal.type("geAif")
    helix.shows("if price: text")
    helix.terminal.press("Tab")
    helix.shows("print(f'${price}')")
    helix.terminal.press("Enter")
    assert helix.text == (head + rest).replace("\n", newline)


def test_an_edit_is_applied_and_undone(start: Callable[..., Helix]) -> None:
    helix = start("sums.py", CODE, {"says": "```python\ndef add(a, b):\n    return a + b\n```"})
    helix.terminal.type("ge")
    helix.act("Kruk: Simplify")
    helix.shows("return a + b")
    assert helix.text == CODE.replace("a - b", "a + b")
    helix.terminal.type("u")
    helix.shows("return a - b")


def test_a_chat_in_the_project_is_answered(start: Callable[..., Helix]) -> None:
    helix = start("chat.md", "## You\n\n", {"says": "Hello.\n\nAnd goodbye."})
    helix.act("Kruk: Send")
    helix.shows("There is no question yet")
    helix.terminal.type("geoSay hello.")
    helix.act("Kruk: Send")
    helix.terminal.until(lambda: helix.terminal.screen.count("## You") == 2, "the answer")
    assert helix.text.endswith("Say hello.\n\n## Kruk\n\nHello.\n\nAnd goodbye.\n\n## You\n\n")


def test_commands_by_their_names_say_what_came_of_them(start: Callable[..., Helix]) -> None:
    helix = start("sums.py", CODE, {})
    helix.menu()
    for name, said in (
        ("toggle", "Completions are switched off"),
        ("explain", "`kruk.explain` needs a place"),
    ):
        helix.command(f"lsp-workspace-command kruk.{name}")
        helix.shows(f"Kruk: {said}")


def test_an_explanation_opens_and_fills(start: Callable[..., Helix], new_helix: Path) -> None:
    helix = start("sums.py", CODE, {"says": "It **subtracts** the second\nfrom the first. Żółw."})
    helix.terminal.type("ge")
    helix.act("Kruk: Explain")
    helix.shows("# Explain: add")
    helix.shows("from the first. Żółw.")
    helix.command("buffer-close!")
    helix.shows("return a - b")


def test_a_chat_about_the_code_is_answered_twice(start: Callable[..., Helix], new_helix: Path) -> None:
    helix = start("sums.py", CODE, {"says": ["Because.", "Once more."]})
    helix.terminal.type("ge")
    helix.act("Kruk: Chat about this")
    helix.shows("@file:sums.py:5-5")
    helix.terminal.type("iWhy?")  # where the cursor is put
    helix.act("Kruk: Send")
    helix.shows("@file:sums.py:5-5 Why?")
    helix.terminal.until(lambda: helix.terminal.screen.count("## You") == 2, "the answer")
    helix.terminal.type("iAgain?")
    helix.act("Kruk: Send")
    helix.shows("Once more.")
    helix.terminal.until(lambda: helix.terminal.screen.count("## You") == 3, "the second answer")
