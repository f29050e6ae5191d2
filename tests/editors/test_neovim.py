"""The Neovim plugin in a real Neovim, with the real server and a real model."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Any

import pytest
from neovim_driver import Editor, Start
from recording import Recording

pytestmark = [pytest.mark.editor, pytest.mark.model]

SERVER = [sys.executable, "-m", "lsp_server", "serve"]


@pytest.fixture
def config(default_model: Path) -> dict[str, Any]:
    return {"cmd": SERVER, "settings": {"model": str(default_model)}, "tab": True}


@pytest.fixture
def editor(start: Start, nvim: Path, config: dict[str, Any]) -> Editor:
    return start(nvim, config)


@pytest.fixture
def old_editor(start: Start, old_nvim: Path, config: dict[str, Any]) -> Editor:
    """A Neovim without inline completion of its own."""
    return start(old_nvim, config)


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
    editor.until(lambda: editor.text != before, "the suggestion to be taken", 5)
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
    editor.until(lambda: editor.text != before, "the suggestion to be taken", 5)
    editor.press("<Esc>", "u")
    assert editor.until(lambda: editor.text == before, f"{text!r} to be gone", 5)


def test_a_suggestion_goes_where_nothing_is_suggested(editor: Editor, project: Path) -> None:
    editor.open(project / "numbers.py")
    editor.until_ready()
    editor.press("i")
    editor.type("def add(a, b):\n    return ")
    editor.ghost()
    editor.press("<C-Left>")  # into the word `return`
    editor.until(lambda: editor.lua("return not waiting() and ghost() == nil"), "the old suggestion to go", 5)


def test_an_action_changes_the_code_and_says_what_it_is_of(editor: Editor, project: Path) -> None:
    editor.open(project / "numbers.py")
    editor.until_ready()
    code = "x = 1\n\n\ndef add(a, b):\n    return a + b"
    editor.api.current.buffer[:] = code.split("\n")
    editor.api.current.window.cursor = (5, 4)
    offered = editor.lua(
        "local params = vim.lsp.util.make_range_params(0, 'utf-16'); params.context = { diagnostics = {} }; "
        "local client = require('kruk.lsp').client(0); "
        "return client:request_sync('textDocument/codeAction', params, 20000, vim.api.nvim_get_current_buf()).result"
    )
    assert [action["title"] for action in offered][:2] == ["Kruk: Explain", "Kruk: Document"]
    editor.api.command("Kruk document")
    editor.until(lambda: editor.text != code, "a docstring", 60)
    before, comment, after = editor.text.split('"""')
    assert (before, after) == ("x = 1\n\n\ndef add(a, b):\n    ", "\n    return a + b") and comment


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
    # The request goes out 0.2 s after the last key: until then there is nothing to tell.
    assert editor.until(lambda: _said(editor, "Kruk why", "excludeGlobs"), "the reason", 20)
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
    editor.until(lambda: editor.lua("return ghost() == nil"), "the suggestion to go", 5)
    assert editor.state() == "Kruk: off"
    editor.press("<Cmd>Kruk toggle<CR>")
    editor.until(lambda: editor.state().startswith("Kruk: "), "the state")
    editor.type("a")
    editor.ghost()


def test_the_statusline_shows_the_state(editor: Editor, project: Path) -> None:
    editor.open(project / "numbers.py")
    states: set[str] = set()

    def ready() -> bool:
        states.add(editor.state())
        return editor.state().startswith("Kruk: ready")

    editor.until(ready, "the model to be ready")
    line = editor.lua("return vim.api.nvim_eval_statusline(vim.o.statusline, {}).str")
    assert "Kruk: ready" in line
    assert all(state == "" or state.startswith("Kruk: ") for state in states)


# -- pieces of a suggestion; the same story in each Neovim ------------------------------------------------


def test_a_word_and_a_line_are_accepted_and_the_rest_stays(editor: Editor, project: Path) -> None:
    _accept_in_pieces(editor, project)


def test_our_own_ghost_text_is_accepted_in_pieces(old_editor: Editor, project: Path) -> None:
    _accept_in_pieces(old_editor, project)


def _accept_in_pieces(editor: Editor, project: Path) -> None:
    editor.open(project / "numbers.py")
    editor.api.command("setlocal fileformat=dos")  # line ends are none of a line's text
    editor.until_ready()
    editor.press("i")
    editor.type("def largest(numbers):\n    best = numbers[0]\n    for number in numbers:\n")
    before, (_, _, whole) = editor.text, editor.ghost()
    assert whole.startswith("if number") and "\n" in whole

    editor.press("<C-Right>", "<C-Right>")  # before Neovim has asked again
    editor.until(lambda: editor.text == before + "if number", "two words")
    assert editor.lua("return ghost()")[2] == whole.removeprefix("if number")
    assert editor.ghost()[2].startswith(whole.removeprefix("if number").split("\n")[0])

    editor.type(whole.removeprefix("if number")[:3])  # typed along
    rest = editor.ghost()[2].split("\n")[0]
    line = editor.text.split("\n")[-1]
    editor.press("<C-End>")
    editor.until(lambda: editor.text.split("\n")[-1] == line + rest, "the line")
    editor.press("<Esc>", "u")
    editor.until(lambda: editor.text.split("\n")[-1] == line, "the line to be taken back")


def test_typing_something_else_hides_our_own_ghost_text(old_editor: Editor, project: Path) -> None:
    editor = old_editor
    editor.open(project / "numbers.py")
    editor.until_ready()
    editor.press("i")
    editor.type("def add(a, b):\n    return ")
    _, _, text = editor.ghost()
    editor.press("#")
    editor.until(lambda: editor.lua("local g = ghost(); return not g or g[3] ~= ...", text), "it to go", 5)
    editor.press("<Esc>")
    editor.until(lambda: editor.lua("return ghost() == nil"), "nothing to be left", 5)


def test_the_story_of_an_hour(start: Start, nvim: Path, config: dict[str, Any], project: Path) -> None:
    folder = os.environ.get("KRUK_PICTURES")
    recording = Recording() if folder else None
    _story(start(nvim, config, recording=recording), project, config)
    if recording and folder:
        recording.write(Path(folder) / "neovim.svg", "Kruk in Neovim 0.12: suggestions, explanation, fix and chat")


def test_the_same_story_before_neovim_0_12(old_editor: Editor, project: Path, config: dict[str, Any]) -> None:
    _story(old_editor, project, config)


TICKETS = '''"""What tickets cost."""


def price(age, base):
    if age < 12:
        return base / 2
    return base


def total(ages, base):
    return sum(prise(age, base) for age in ages)


'''


def _story(editor: Editor, project: Path, config: dict[str, Any]) -> None:
    path = project / "tickets.py"
    path.write_text(TICKETS)
    editor.open(path)
    editor.until_ready()
    editor.rest(1)

    # A suggestion, accepted whole; another one by word.
    editor.press("G", "o")
    editor.type("def average(numbers):\n")
    _, _, text = editor.ghost()
    assert "sum(numbers)" in text and "len(numbers)" in text
    editor.rest(1.5)
    before = editor.text
    editor.press("<Tab>")
    editor.until(lambda: editor.text == before + text, "the suggestion to be taken", 5)
    editor.type("\n\n\ndef youngest(ages):\n")
    _, _, text = editor.ghost()
    assert "min(ages)" in text
    for _ in range(3):
        editor.rest(0.6)
        before = editor.text
        editor.press("<C-Right>")
        editor.until(lambda before=before: len(editor.text) > len(before), "a word", 5)
    editor.press("<Tab>")
    editor.until(lambda: "return min(ages)" in editor.text, "the rest", 5)
    editor.press("<Esc>")
    editor.api.command("write")

    # Explain, in a document beside the code.
    editor.press("4G")
    _command(editor, "Kruk explain")
    editor.until(lambda: len(editor.buffer("/explanation%-")) > 200, "an explanation")
    if not editor.is_watched:
        editor.api.command("Kruk cancel")
    editor.until(lambda: _done(editor), "the end of it")
    assert editor.buffer("/explanation%-").startswith("# Explain: price\n\n")
    assert len(editor.api.windows) == 2 and editor.api.current.buffer.name == str(path)
    editor.rest(2.5)
    editor.api.command("only")

    # Fix what a linter says.
    row = TICKETS.split("\n").index("    return sum(prise(age, base) for age in ages)")
    editor.lua(
        "local row, message = ...; vim.diagnostic.set(vim.api.nvim_create_namespace('linter'), 0, {{ lnum = row, "
        "col = 15, end_lnum = row, end_col = 20, severity = 1, source = 'linter', message = message }})",
        row,
        "Undefined name `prise`. Did you mean `price`?",
    )
    editor.press(f"{row + 1}G")
    editor.rest(1)
    _command(editor, "Kruk fix")
    editor.until(lambda: "sum(price(age, base) for age in ages)" in editor.text, "the fix")
    assert "prise" not in editor.text
    editor.until(lambda: _done(editor), "the end of it")
    editor.rest(1.5)
    editor.lua("vim.diagnostic.reset()")

    # Chat about a function, with a follow-up; the code takes its place.
    _command(editor, "4,7Kruk chat Add a docstring of one line. Only the code.")
    chat = "/chats/"
    editor.until(lambda: editor.buffer(chat).count("\n## You\n") == 2 and _done(editor), "an answer")
    assert editor.buffer(chat).split("## Kruk")[1].count('"""') == 2
    editor.rest(2)
    editor.press("G", "A")
    editor.type("Add type hints, too. Only the code.")
    editor.press("<Esc>")
    _command(editor, "Kruk send")
    editor.until(lambda: editor.buffer(chat).count("\n## You\n") == 3 and _done(editor), "the second answer")
    answer = editor.buffer(chat).split("## Kruk")[2]
    assert "def price(age: " in answer and "return base / 2" in answer
    assert not editor.api.current.buffer.options["modified"]  # it is kept
    editor.rest(2)
    _command(editor, "Kruk apply")
    editor.until(lambda: "def price(age: " in editor.buffer("tickets"), "the code in the file", 10)
    applied = editor.buffer("tickets")
    assert applied.count("def price(") == 1 and "def total(ages, base):" in applied
    editor.rest(1)
    editor.press("<C-w>p")
    editor.api.command("only")
    assert editor.api.current.buffer.name == str(path)
    editor.press("g", "g")
    editor.rest(3)
    editor.stop_recording()

    # Another model.
    other = project / "other-model.gguf"
    other.symlink_to(config["settings"]["model"])
    _command(editor, f"Kruk model {other}")
    editor.until_ready("other-model")

    # The server is killed; it comes again, and so do suggestions.
    editor.api.command("messages clear")
    first = editor.server()
    first.send_signal(signal.SIGTERM if os.name == "nt" else signal.SIGKILL)
    editor.until(lambda: "it is started again in 1 s" in editor.messages(), "word of the end")
    assert editor.state() == "Kruk: restarting"
    editor.until_ready()
    assert "the server runs again" in editor.messages() and editor.server().pid != first.pid
    editor.press("G", "o")
    editor.type("\n\ndef add(a, b):\n    return ")
    assert "a + b" in editor.ghost()[2]


def _command(editor: Editor, command: str) -> None:
    """Type an ex command."""
    editor.press(":")
    editor.type(command, 0.3)
    editor.press("<CR>")


def _done(editor: Editor) -> bool:
    """Whether the server owes no answer to a command."""
    return bool(
        editor.lua(
            "for _, request in pairs((require('kruk.lsp').client() or { requests = {} }).requests) do "
            "if request.type == 'pending' and request.method == 'workspace/executeCommand' then return false end end "
            "return true"
        )
    )
