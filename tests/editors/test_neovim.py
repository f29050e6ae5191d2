"""The Neovim plugin in a real Neovim, with the real server and a real model."""

from __future__ import annotations

import itertools
import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

import pynvim
import pytest

pytestmark = [pytest.mark.editor, pytest.mark.model]

ROOT = Path(__file__).parents[2]
PLUGIN = ROOT / "editors" / "neovim"
T = TypeVar("T")


def until(read: Callable[[], T], what: str, seconds: float = 60) -> T:
    """Poll until `read` gives something true."""
    end = time.monotonic() + seconds
    while not (value := read()):
        assert time.monotonic() < end, f"not within {seconds} s: {what}"
        time.sleep(0.05)
    return value


class Editor:
    """A Neovim with the plugin, driven through its API the way a person drives it with the keyboard."""

    def __init__(self, nvim: Path, config: dict[str, Any]) -> None:
        init = Path(__file__).with_name("neovim_init.lua")
        os.environ["KRUK_TEST_PLUGIN"] = str(PLUGIN)
        os.environ["KRUK_TEST_CONFIG"] = json.dumps(config)
        self.api = pynvim.attach("child", argv=[str(nvim), "--clean", "--embed", "--headless", "-n", "-u", str(init)])

    def lua(self, code: str, *args: Any) -> Any:
        return self.api.exec_lua(code, *args)

    def open(self, path: Path) -> None:
        self.api.command(f"edit {path}")

    def type(self, keys: str) -> None:
        pause = itertools.cycle((0.08, 0.11, 0.09, 0.12))
        for key in keys:
            self.api.input({"\n": "<CR>", "<": "<lt>"}.get(key, key))
            time.sleep(next(pause))

    def press(self, *keys: str) -> None:
        for key in keys:
            self.api.input(key)

    @property
    def text(self) -> str:
        return "\n".join(self.api.current.buffer[:])

    def messages(self) -> str:
        return str(self.api.command_output("messages"))

    def ask(self, command: str, ending: str) -> str:
        """Run an ex command and wait for a message that holds `ending`; return what was said since."""
        self.api.command("messages clear")
        self.api.command(command)
        until(lambda: ending in self.messages(), f"{ending!r} after :{command}", 20)
        return self.messages()

    def state(self) -> str:
        return str(self.lua("return require('kruk').statusline()"))

    def until_ready(self) -> None:
        until(lambda: self.state().startswith("Kruk: ready"), "the model to be ready")

    def ghost(self) -> tuple[int, int, str]:
        """The suggestion, once no request is on its way and it has stood for a while."""
        seen: list[Any] = []

        def settled() -> Any:
            ghost = self.lua("return not waiting() and ghost() or nil")
            seen.append(ghost)
            # 20 looks of 0.05 s: longer than Neovim waits before it asks again.
            return ghost if ghost and seen[-20:] == [ghost] * 20 else None

        row, column, text = until(settled, "a suggestion", 30)
        return row, column, text


@pytest.fixture
def start(
    nvim: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[dict[str, Any]], Editor]]:
    home = tmp_path / "home"
    for name in ("KRUK_HOME", "XDG_STATE_HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME"):
        monkeypatch.setenv(name, str(home / name.lower()))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")])))
    for name in ("KRUK_TEST_PLUGIN", "KRUK_TEST_CONFIG"):
        monkeypatch.setenv(name, "")
    editors: list[Editor] = []

    def begin(config: dict[str, Any]) -> Editor:
        editors.append(Editor(nvim, config))
        return editors[-1]

    yield begin
    for editor in editors:
        with suppress(OSError, EOFError):  # the pipe closes before the answer to `qall`
            editor.api.command("qall!")
        editor.api.close()


@pytest.fixture
def editor(start: Callable[[dict[str, Any]], Editor], default_model: Path) -> Editor:
    server = [sys.executable, "-m", "lsp_server", "serve"]
    return start({"cmd": server, "settings": {"model": str(default_model)}, "tab": True})


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    (folder / ".git").mkdir(parents=True)
    return folder


def test_suggests_the_body_of_a_function_and_tab_accepts_it(editor: Editor, project: Path) -> None:
    editor.open(project / "numbers.py")
    editor.until_ready()
    editor.press("i")
    editor.type("def add(a, b):\n")
    row, column, text = editor.ghost()
    before = editor.text
    lines = before.split("\n")
    lines[row] = lines[row][:column] + text + lines[row][column:]
    assert "a + b" in text

    editor.press("<Tab>")
    until(lambda: editor.text != before, "the suggestion to be taken", 5)
    assert editor.text == "\n".join(lines)
    end = len(text.split("\n")[-1].encode()) + (0 if "\n" in text else column)
    assert tuple(editor.api.current.window.cursor) == (row + 1 + text.count("\n"), end)
    assert "WARN" not in editor.messages()


def test_undo_takes_the_suggestion_back_and_keeps_what_was_typed(editor: Editor, project: Path) -> None:
    editor.open(project / "numbers.py")
    editor.until_ready()
    editor.press("i")
    editor.type("def add(a, b):\n    ret")
    _, _, text = editor.ghost()
    before = editor.text
    editor.press("<Tab>")
    until(lambda: editor.text != before, "the suggestion to be taken", 5)
    editor.press("<Esc>", "u")
    assert until(lambda: editor.text == before, f"{text!r} to be gone", 5)


def test_tab_is_a_tab_where_nothing_is_suggested(editor: Editor, project: Path) -> None:
    editor.open(project / "notes.txt")
    editor.until_ready()
    editor.lua("require('kruk').toggle()")
    editor.press("i", "<Tab>", "x")
    until(lambda: editor.text == "\tx", "a tab", 5)


def test_a_suggestion_goes_where_nothing_is_suggested(editor: Editor, project: Path) -> None:
    editor.open(project / "numbers.py")
    editor.until_ready()
    editor.press("i")
    editor.type("def add(a, b):\n    return ")
    editor.ghost()
    editor.press("<C-Left>")  # into the word `return`
    until(lambda: editor.lua("return not waiting() and ghost() == nil"), "the old suggestion to go", 5)


def test_an_action_changes_the_code_and_says_what_it_is_of(editor: Editor, project: Path) -> None:
    editor.open(project / "numbers.py")
    editor.until_ready()
    code = "x = 1\n\n\ndef add(a, b):\n    return a + b"
    editor.api.current.buffer[:] = code.split("\n")
    editor.api.current.window.cursor = (5, 4)
    offered = editor.lua(
        "local params = vim.lsp.util.make_range_params(0, 'utf-16'); params.context = { diagnostics = {} }; "
        "local client = require('kruk').client(0); "
        "return client:request_sync('textDocument/codeAction', params, 20000, vim.api.nvim_get_current_buf()).result"
    )
    assert [action["title"] for action in offered][:2] == ["Kruk: Explain", "Kruk: Document"]
    editor.api.command("Kruk document")
    until(lambda: editor.text != code, "a docstring", 60)
    before, comment, after = editor.text.split('"""')
    assert (before, after) == ("x = 1\n\n\ndef add(a, b):\n    ", "\n    return a + b") and comment


def test_an_explanation_opens_and_fills(editor: Editor, project: Path) -> None:
    editor.open(project / "numbers.py")
    editor.until_ready()
    editor.api.current.buffer[:] = ["def add(a, b):", "    return a + b"]
    editor.api.command("1,2Kruk explain")
    said = (
        "for _, b in ipairs(vim.api.nvim_list_bufs()) do if vim.api.nvim_buf_get_name(b):find('/explanation%-') then "
    )
    said += "return table.concat(vim.api.nvim_buf_get_lines(b, 0, -1, false), '\\n') end end return ''"
    until(lambda: len(editor.lua(said)) > 100, "an explanation", 60)
    assert editor.lua(said).startswith("# Explain: add\n\n")
    assert "Workspace edit" not in editor.messages()  # not one for each piece


def test_a_chat_document_is_answered_in_place(editor: Editor, project: Path) -> None:
    editor.open(project / "numbers.py")
    editor.until_ready()
    editor.api.command("Kruk chat")
    until(lambda: editor.text.startswith("# Chat\n"), "a chat document", 20)
    until(lambda: editor.lua("return require('kruk').client(0) ~= nil"), "Kruk to serve it", 20)
    editor.api.current.buffer.append("Say hello in one word.")
    editor.api.command("Kruk send")
    until(lambda: editor.text.count("\n## You\n") == 2, "the answer and room for the next question", 60)
    question, answer = editor.text.split("\n## Kruk\n")
    assert question.strip().endswith("Say hello in one word.") and answer.split("## You")[0].strip()


def test_why_and_status_answer_in_words(editor: Editor, project: Path) -> None:
    editor.open(project / "numbers.py")
    editor.until_ready()
    editor.press("i")
    editor.type("def add(a, b):\n    return ")
    editor.ghost()
    editor.press("<Esc>")
    why = editor.ask("Kruk why", "in all")
    assert "suggested" in why
    assert "model" in why

    status = editor.ask("Kruk status", "This buffer")
    assert "ready" in status
    assert "suggestions on" in status
    assert editor.state().removeprefix("Kruk: ready ").split(",")[0] in status


def test_why_names_the_reason_in_a_file_with_secrets(editor: Editor, project: Path) -> None:
    editor.open(project / ".env")
    editor.until_ready()
    editor.press("i")
    editor.type("PASSWORD=")
    # The request goes out 0.2 s after the last key; until then the server has nothing to tell.
    why = until(lambda: _said(editor, "Kruk why", "no suggestion:"), "the reason", 20)
    assert "exclude" in why.lower() or ".env" in why
    assert editor.lua("return ghost() == nil")


def _said(editor: Editor, command: str, words: str) -> str:
    said = editor.ask(command, "Kruk:")
    return said if words in said else ""


def test_toggle_hides_and_brings_back(editor: Editor, project: Path) -> None:
    editor.open(project / "numbers.py")
    editor.until_ready()
    editor.press("i")
    editor.type("def add(a, b):\n    return ")
    editor.ghost()
    editor.press("<Cmd>Kruk toggle<CR>")
    until(lambda: editor.lua("return ghost() == nil"), "the suggestion to go", 5)
    assert editor.state() == "Kruk: off"
    editor.press("<Cmd>Kruk toggle<CR>")
    until(lambda: editor.state().startswith("Kruk: "), "the state")
    editor.type("a")
    editor.ghost()


def test_the_statusline_shows_the_state(editor: Editor, project: Path) -> None:
    editor.open(project / "numbers.py")
    states: set[str] = set()

    def ready() -> bool:
        states.add(editor.state())
        return editor.state().startswith("Kruk: ready")

    until(ready, "the model to be ready")
    line = editor.lua("return vim.api.nvim_eval_statusline(vim.o.statusline, {}).str")
    assert "Kruk: ready" in line
    assert all(state == "" or state.startswith("Kruk: ") for state in states)


def test_health_has_no_error(editor: Editor, project: Path) -> None:
    editor.open(project / "numbers.py")
    editor.until_ready()
    editor.api.command("checkhealth kruk")
    report = until(lambda: editor.text if "Model:" in editor.text else "", "the report")
    assert "ERROR" not in report
    assert "<Tab> accepts" in report


def test_restart_gives_a_new_server(editor: Editor, project: Path) -> None:
    editor.open(project / "numbers.py")
    editor.until_ready()
    first = editor.lua("return vim.lsp.get_clients({ name = 'kruk' })[1].id")
    editor.api.command("Kruk restart")
    until(
        lambda: editor.lua(
            "local c = vim.lsp.get_clients({ name = 'kruk', bufnr = 0 })[1]; return c and c.id ~= ...", first
        ),
        "another client",
    )
    editor.until_ready()


def test_one_server_for_two_projects(editor: Editor, tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name / ".git").mkdir(parents=True)
        editor.open(tmp_path / name / "a.py")
        editor.until_ready()
    clients = "return #vim.lsp.get_clients({ name = 'kruk' })"
    assert editor.lua(clients) == 1


def test_leaves_large_and_special_buffers_alone(editor: Editor, project: Path) -> None:
    editor.open(project / "numbers.py")
    editor.until_ready()
    large = project / "large.py"
    large.write_text("x = 1\n" * 400_000)
    editor.open(large)
    assert "not served: the file is larger" in editor.ask("Kruk status", "This buffer")
    editor.api.command("enew | setlocal buftype=nofile filetype=python")
    assert "not served: this is a nofile buffer" in editor.ask("Kruk status", "This buffer")


def test_loads_without_an_executable(start: Callable[[dict[str, Any]], Editor], project: Path) -> None:
    editor = start({"cmd": ["kruk-is-not-here", "serve"]})
    editor.open(project / "numbers.py")
    editor.press("i")
    editor.type("x = 1")
    editor.press("<Esc>")
    assert editor.messages() == ""
    assert "not an executable" in editor.ask("Kruk status", "Kruk")
    editor.api.command("checkhealth kruk")
    report = until(lambda: editor.text if "server" in editor.text else "", "the report")
    assert "`kruk-is-not-here` is not an executable" in report


def test_a_wrong_option_is_named_and_left_out(start: Callable[[dict[str, Any]], Editor]) -> None:
    editor = start({"cmd": "kruk serve", "autostrat": False})
    assert "cmd: expected a list" in editor.messages()
    assert 'unknown option "autostrat"' in editor.messages()
    assert editor.lua("return vim.lsp.config.kruk.cmd") == ["kruk", "serve"]
