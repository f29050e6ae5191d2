"""Emacs with Eglot as it ships, then with lsp-mode, and no Kruk in it, run with the keyboard."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.editors.terminal import Terminal

pytestmark = pytest.mark.editor

ROOT = Path(__file__).parents[2]
CODE = "x = 1\n\n\ndef add(a, b):\n    return a - b\n"


class Emacs:
    """An Emacs on a terminal; what is typed goes through its keyboard, what is read through emacsclient."""

    def __init__(self, emacs: Path, home: Path, server: list[str], options: str, lsp_mode: Path | None) -> None:
        self._home = home
        self._managed = "lsp--buffer-workspaces" if lsp_mode else "eglot--managed-mode"
        contact = "(" + " ".join(json.dumps(word) for word in server) + options + ")"
        init = Path(__file__).with_name("emacs_lsp_init.el" if lsp_mode else "emacs_init.el")
        environment = {"HOME": str(home), "KRUK_HOME": str(home / "kruk"), "KRUK_TEST_CONTACT": contact}
        environment |= {"KRUK_TEST_PACKAGES": str(lsp_mode or "")}
        environment |= {"XDG_CACHE_HOME": str(home / "cache"), "PYTHONPATH": str(ROOT), "TERM": "xterm-256color"}
        self.terminal = Terminal(home, [str(emacs), "-nw", "-Q", "-l", str(init)], environment)
        self._client = [str(emacs.with_name("emacsclient")), "-s", str(home / "look"), "--eval"]
        self.terminal.until((home / "look").exists, "Emacs to start")

    def lisp(self, form: str) -> str:
        """The value of a Lisp form, as text."""
        coded = f'(base64-encode-string (encode-coding-string (format "%s" {form}) (quote utf-8)) t)'
        done = subprocess.run([*self._client, coded], capture_output=True, text=True, timeout=30, check=True)
        return base64.b64decode(done.stdout.strip().strip('"')).decode()

    def open(self, path: Path) -> None:
        """Find a file, and wait until the server has been told of it."""
        self.terminal.press("C-x", "C-f", "C-a", "C-k")
        self.terminal.type(f"{path}\n")
        managed = f'(let ((b (get-file-buffer "{path}"))) (and b (with-current-buffer b {self._managed}) t))'
        self.terminal.until(lambda: self.lisp(managed) != "nil", "Emacs to connect")

    def text(self, name: str) -> str:
        """The text of the buffer whose name matches, or nothing."""
        found = f'(seq-find (lambda (b) (string-match-p "{name}" (buffer-name b))) (buffer-list))'
        return self.lisp(f'(let ((b {found})) (if b (with-current-buffer b (buffer-string)) ""))')

    def go_to(self, line: int) -> None:
        self.terminal.press("M-g", "g")
        self.terminal.type(f"{line}\n")

    def act(self, title: str) -> None:
        """Choose a code action by its title."""
        self.terminal.press("C-c", "a")
        asked = "Select code action" if "lsp" in self._managed else "Pick an action"
        self.terminal.until(lambda: asked in self.terminal.screen, "the actions")
        self.terminal.type(f"{title}\n")


@pytest.fixture
def start(emacs: Path, tmp_path: Path) -> Iterator[Callable[..., Emacs]]:
    editors: list[Emacs] = []

    def begin(script: object = None, model: Path | None = None, lsp_mode: Path | None = None) -> Emacs:
        if model:
            server, options = (
                ["-m", "lsp_server", "serve"],
                f" :initializationOptions (:model {json.dumps(str(model))})",
            )
        else:
            file = tmp_path / "script.json"
            file.write_text(json.dumps(script))
            server, options = ["-m", "tests.fake_server", str(file)], ""
        editors.append(Emacs(emacs, tmp_path, [sys.executable, *server], options, lsp_mode))
        return editors[-1]

    yield begin
    for editor in editors:
        editor.terminal.close()


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    (folder / ".git").mkdir(parents=True)
    (folder / "sums.py").write_text(CODE)
    return folder


def test_the_actions_are_listed(start: Callable[..., Emacs], project: Path) -> None:
    emacs = start({})
    emacs.open(project / "sums.py")
    emacs.go_to(5)
    emacs.terminal.press("C-c", "a")
    emacs.terminal.until(lambda: "Pick an action" in emacs.terminal.screen, "the actions")
    emacs.terminal.type("Kruk")
    emacs.terminal.press("Tab", "Tab")
    titles = ("Kruk: Explain", "Kruk: Document", "Kruk: Write tests", "Kruk: Simplify", "Kruk: Chat about this")
    emacs.terminal.until(lambda: all(title in emacs.terminal.screen for title in titles), "every title")


def test_edits_are_applied_and_undone(start: Callable[..., Emacs], project: Path) -> None:
    emacs = start({"says": "```python\ndef add(a, b):\n    return a + b\n```"})
    emacs.open(project / "sums.py")
    emacs.go_to(5)
    emacs.act("Kruk: Simplify")
    emacs.terminal.until(lambda: emacs.text("^sums.py") == CODE.replace("a - b", "a + b"), "the edit")
    emacs.terminal.press("C-/")
    emacs.terminal.until(lambda: emacs.text("^sums.py") == CODE, "the edit to be taken back")


def test_an_explanation_opens_and_fills(start: Callable[..., Emacs], project: Path) -> None:
    emacs = start({"says": "It **subtracts** the second\nfrom the first. Żółw."})
    emacs.open(project / "sums.py")
    emacs.go_to(5)
    emacs.act("Kruk: Explain")
    whole = "# Explain: add\n\nIt **subtracts** the second\nfrom the first. Żółw.\n"
    emacs.terminal.until(lambda: emacs.text("^explanation-") == whole, "the explanation")
    assert "It **subtracts**" in emacs.terminal.screen and "def add" in emacs.terminal.screen


def test_a_chat_in_the_project_is_answered_twice(start: Callable[..., Emacs], project: Path) -> None:
    emacs = start({"says": ["Hello.\n\nAnd goodbye.", "Again."]})
    (project / "chat.md").write_text("## You\n\n")
    emacs.open(project / "chat.md")
    emacs.terminal.press("M->")
    for n, question, answer in ((1, "Say hello.", "Hello.\n\nAnd goodbye."), (2, "Once more.", "Again.")):
        emacs.terminal.type(question)
        emacs.act("Kruk: Send")
        emacs.terminal.until(lambda n=n: emacs.text("^chat.md").count("## You") == n + 1, "the answer")
        assert f"{question}\n\n## Kruk\n\n{answer}\n\n## You" in emacs.text("^chat.md")
        emacs.terminal.press("M->")


def test_a_chat_about_the_code_is_shown(start: Callable[..., Emacs], project: Path) -> None:
    emacs = start({})
    emacs.open(project / "sums.py")
    emacs.go_to(5)
    emacs.act("Kruk: Chat about this")
    chat = emacs.terminal.until(lambda: emacs.text("^[0-9-]+ [0-9]+.md"), "the chat")
    assert chat.endswith("## You\n\n@file:sums.py:5-5 ")


@pytest.mark.model
def test_the_real_model_documents_and_answers(
    start: Callable[..., Emacs], project: Path, default_model: Path
) -> None:
    emacs = start(model=default_model)
    emacs.open(project / "sums.py")
    emacs.go_to(5)
    emacs.act("Kruk: Document")
    emacs.terminal.until(lambda: '"""' in emacs.text("^sums.py"), "a docstring", 60)
    before, comment, after = emacs.text("^sums.py").split('"""')
    assert (before, after) == ("x = 1\n\n\ndef add(a, b):\n    ", "\n    return a - b\n") and comment

    (project / "chat.md").write_text("## You\n\n")
    emacs.open(project / "chat.md")
    emacs.terminal.press("M->")
    emacs.terminal.type("Say hello in one word.")
    emacs.act("Kruk: Send")
    emacs.terminal.until(lambda: emacs.text("^chat.md").count("## You\n") == 2, "the answer", 60)
    assert emacs.text("^chat.md").split("## Kruk")[1].split("## You")[0].strip()


def test_a_suggestion_is_a_completion(start: Callable[..., Emacs], project: Path) -> None:
    emacs = start({"knows": [f"{CODE}\n\ndef mul(a, b):\n    return a * b\n"]})
    emacs.open(project / "sums.py")
    emacs.terminal.press("M->")
    emacs.terminal.type("\n\ndef mul(a, b):\nret")
    emacs.terminal.press("C-M-i")
    emacs.terminal.until(lambda: emacs.text("^sums.py").endswith("    return a * b"), "the suggestion to be taken")


def test_lsp_mode_completes_and_acts(start: Callable[..., Emacs], lsp_mode: Path, project: Path) -> None:
    script = {
        "knows": [f"{CODE}\n\ndef mul(a, b):\n    return a * b\n"],
        "says": "```python\ndef add(a, b):\n    return a + b\n```",
    }
    emacs = start(script, lsp_mode=lsp_mode)
    emacs.open(project / "sums.py")
    emacs.terminal.press("M->")
    emacs.terminal.type("\n\ndef mul(a, b):\nret")
    emacs.terminal.press("C-M-i")
    emacs.terminal.until(lambda: emacs.text("^sums.py").endswith("    return a * b"), "the suggestion to be taken")
    emacs.go_to(5)
    emacs.act("Kruk: Simplify")
    emacs.terminal.until(lambda: "return a + b\n\n\ndef mul" in emacs.text("^sums.py"), "the edit")
    emacs.act("Kruk: Explain")
    emacs.terminal.until(lambda: "def add(a, b)" in emacs.text("Messages"), "the explanation, a message")
    assert "Unknown notification" not in emacs.text("Warnings")


def test_a_newer_lsp_mode_shows_ghost_text_and_documents(
    start: Callable[..., Emacs], new_lsp_mode: Path, project: Path
) -> None:
    script = {"knows": [f"{CODE}\n\ndef mul(a, b):\n    return a * b\n"], "says": ["It adds.", "Because."]}
    emacs = start(script, lsp_mode=new_lsp_mode)
    emacs.open(project / "sums.py")
    emacs.terminal.press("M->")
    emacs.terminal.type("\n\ndef mul(a, b):\nret")
    emacs.terminal.until(lambda: "return a * b" in emacs.terminal.screen, "the ghost text")
    assert emacs.text("^sums.py").endswith("    ret")
    emacs.terminal.press("Tab")
    emacs.terminal.until(lambda: emacs.text("^sums.py").endswith("    return a * b"), "the suggestion to be taken")
    emacs.go_to(5)
    emacs.act("Kruk: Explain")
    emacs.terminal.until(lambda: emacs.text("^explanation-") == "# Explain: add\n\nIt adds.\n", "the explanation")
    assert emacs.text("Warnings") == ""
