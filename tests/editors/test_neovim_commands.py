"""What `:Kruk` does in a real Neovim, with the real server and the fake model: fast, and the answers are known."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from neovim_driver import PLUGIN, Editor, Start

pytestmark = pytest.mark.editor

ADDS = "It adds:\n\n```python\ndef add(a, b):\n    return a + b\n```\n\nThat is all."


@pytest.fixture
def config(tmp_path: Path) -> dict[str, Any]:
    script = tmp_path / "script.json"
    script.write_text(json.dumps({"says": ADDS}))
    return {"cmd": [sys.executable, "-m", "tests.fake_server", str(script)], "tab": True}


@pytest.fixture
def editor(start: Start, nvim: Path, config: dict[str, Any]) -> Editor:
    return start(nvim, config)


def opened(editor: Editor, path: Path, text: str = "") -> None:
    path.write_text(text)
    editor.open(path)
    editor.until(lambda: editor.state().startswith("Kruk: ready"), "Kruk to serve the file")


def go_to(editor: Editor, name: str) -> None:
    editor.lua("vim.api.nvim_set_current_win(vim.fn.bufwinid(vim.fn.bufnr(...)))", name)


def chat(editor: Editor, question: str) -> str:
    """Begin a chat, wait for the answer, and return the name of its file."""
    editor.api.command(f"Kruk chat {question}")
    editor.until(lambda: editor.text.count("## You") == 2 and question in editor.text, "the answer", 20)
    return str(editor.api.current.buffer.name)


def test_each_chat_applies_its_code_to_the_file_it_is_about(editor: Editor, project: Path) -> None:
    wrong = "def add(a, b):\n    return a - b\n"
    opened(editor, project / "one.py", f"x = 1\n\n\n{wrong}")
    first = chat(editor, "What does add do?")
    assert f"It adds:\n\n```python\n{ADDS.split('```')[1].removeprefix('python')[1:]}```" in editor.text
    go_to(editor, "one.py")
    opened(editor, project / "two.py", wrong)
    second = chat(editor, "And this one?")
    assert first != second

    go_to(editor, first)
    editor.api.command("Kruk apply")
    editor.until(lambda: editor.buffer("one.py") == "x = 1\n\n\ndef add(a, b):\n    return a + b", "the code", 10)
    assert editor.buffer("two.py") == wrong.rstrip("\n")

    go_to(editor, second)
    editor.api.command("Kruk insert")
    code = "def add(a, b):\n    return a + b"
    editor.until(lambda: editor.buffer("two.py") == f"def add(a, b):\n{code}\n    return a - b", "the code", 10)


def test_the_lines_a_chat_is_about_give_way_to_its_code(editor: Editor, project: Path) -> None:
    opened(editor, project / "one.py", "x = 1\ny = 2\nz = 3\n")
    editor.api.command("2Kruk chat How do I add?")
    editor.until(lambda: editor.text.count("## You") == 2, "the answer", 20)
    assert "@file:one.py:2-2 How do I add?" in editor.text
    editor.lua("vim.api.nvim_buf_set_lines(vim.fn.bufnr('one.py'), 0, 0, false, { '# new' })")  # meanwhile
    editor.api.command("Kruk apply")
    wanted = "# new\nx = 1\ndef add(a, b):\n    return a + b\nz = 3"
    editor.until(lambda: editor.buffer("one.py") == wanted, "the code in place of the line", 10)


def test_a_chat_opens_where_the_modifiers_say(editor: Editor, project: Path) -> None:
    opened(editor, project / "one.py", "x = 1\n")
    editor.api.command("vertical Kruk chat Hello?")
    editor.until(lambda: editor.text.count("## You") == 2, "the answer", 20)
    assert [window.height for window in editor.api.windows] == [editor.api.windows[0].height] * 2
    editor.api.command("tab Kruk chat Again?")
    editor.until(lambda: len(editor.api.tabpages) == 2, "a tab", 20)


def test_cancel_leaves_nothing_of_the_answer(editor: Editor, project: Path) -> None:
    opened(editor, project / "one.py", "x = 1\n")
    editor.lua("require('kruk.lsp').client():request_sync('fake/close', vim.empty_dict(), 5000)")
    editor.api.command("Kruk chat What is x?")
    editor.until(lambda: "## Kruk" in editor.text, "the beginning of an answer", 20)
    editor.api.command("Kruk cancel")
    editor.until(lambda: "## Kruk" not in editor.text, "it to go", 20)
    assert editor.text.endswith("What is x?\n") or editor.text.endswith("What is x?")
    editor.lua("require('kruk.lsp').client():request_sync('fake/open', vim.empty_dict(), 5000)")
    assert "nothing is being written" in editor.ask("Kruk cancel", "Kruk:")


def test_a_chat_is_found_again(editor: Editor, project: Path) -> None:
    opened(editor, project / "one.py", "x = 1\n")
    assert "there is no chat yet" in editor.ask("Kruk chats", "Kruk:")
    assert "this is no chat" in editor.ask("Kruk send", "Kruk:") and editor.text == "x = 1"
    name = chat(editor, "What is x?")
    editor.api.command("only | edit one.py")
    editor.lua(
        "vim.ui.select = function(items, opts, done) "
        "vim.g.offered = vim.tbl_map(opts.format_item, items); done(items[1]) end"
    )
    editor.api.command("Kruk chats")
    assert editor.api.current.buffer.name == name
    assert [line.endswith("  What is x?") for line in editor.api.vars["offered"]] == [True]


def test_an_explanation_asks_nothing_when_neovim_is_left(editor: Editor, project: Path) -> None:
    opened(editor, project / "one.py", "x = 1\n")
    editor.api.command("Kruk explain")
    editor.until(lambda: "That is all." in editor.buffer("/explanation%-"), "the explanation", 20)
    assert editor.buffer("/explanation%-").startswith("# Explain: x\n\n")
    assert editor.messages() == ""  # not one for each edit that it grows by
    assert editor.api.current.buffer.name.endswith("one.py")
    assert not editor.lua(
        "return vim.iter(vim.api.nvim_list_bufs()):any(function(b) "
        "return vim.bo[b].modified and vim.bo[b].buftype == '' end)"
    )


def test_toggle_for_a_filetype(editor: Editor, project: Path) -> None:
    opened(editor, project / "one.py")
    assert "suggestions off in python files" in editor.ask("Kruk toggle filetype", "Kruk:")
    editor.open(project / "two.py")
    editor.until(lambda: editor.state() == "Kruk: off", "Kruk to serve it", 10)
    editor.open(project / "one.lua")
    editor.until(lambda: editor.state().startswith("Kruk: ready"), "Kruk to serve it", 10)
    editor.open(project / "two.py")
    assert "suggestions on in python files" in editor.ask("Kruk toggle filetype", "Kruk:")
    editor.open(project / "one.py")
    assert editor.state().startswith("Kruk: ready")
    assert "not `everywhere`" in editor.ask("Kruk toggle everywhere", "Kruk:")


def test_subcommands_are_completed(editor: Editor) -> None:
    def completed(line: str) -> list[str]:
        return list(editor.api.funcs.getcompletion(line, "cmdline"))

    documented = set(
        re.findall(r"^:(?:\[range\])?Kruk \[?(\w+)", (PLUGIN / "doc/kruk.txt").read_text(), re.MULTILINE)
    )
    assert set(completed("Kruk ")) == documented
    assert completed("Kruk chat") == ["chat", "chats"]
    assert completed("1,2Kruk ex") == ["explain"]
    assert completed("Kruk toggle ") == ["buffer", "filetype"]


def test_models_are_completed_and_chosen(
    start: Start, nvim: Path, tmp_path: Path, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home" / "kruk_home"
    (home / "models").mkdir(parents=True)
    (home / "models" / "mine.gguf").write_bytes(b"not a model")
    editor = start(nvim, {"cmd": [sys.executable, "-m", "lsp_server", "serve"]})
    editor.open(project / "one.py")
    assert "mine" in "".join(editor.api.funcs.getcompletion("Kruk model m", "cmdline"))
    assert "qwen2.5-coder-0.5b-instruct" in editor.api.funcs.getcompletion("Kruk pull qwen2.5", "cmdline")
    editor.until(lambda: editor.lua("return require('kruk.lsp').client() ~= nil"), "the server", 20)
    editor.lua("vim.ui.select = function(items, opts, done) done(items[1]) end")
    said = editor.ask("Kruk model", "mine")
    assert "GGUF" in said or "gguf" in said


def test_a_server_that_ends_again_and_again_stays_off(start: Start, nvim: Path, project: Path) -> None:
    editor = start(nvim, {"cmd": [sys.executable, "-c", "raise SystemExit(3)"]})
    editor.lua("require('kruk.restart').delays_s = { 0.05, 0.05 }")
    editor.open(project / "one.py")
    editor.until(lambda: "stays off" in editor.messages(), "the end of it", 30)
    assert editor.messages().count("it is started again") == 2
    assert editor.messages().count("the server ended again (exit code 3)") == 1


def test_what_is_stopped_on_purpose_stays_off(editor: Editor, project: Path) -> None:
    opened(editor, project / "one.py")
    editor.lua("require('kruk.restart').delays_s = { 0.05 }; vim.lsp.enable('kruk', false)")
    n_clients = "return #vim.lsp.get_clients({ name = 'kruk' })"
    editor.until(lambda: editor.lua(n_clients) == 0, "its end", 20)
    editor.lua("vim.wait(500)")
    assert editor.lua(n_clients) == 0
    assert "started again" not in editor.messages()


def test_no_key_is_mapped_unasked(start: Start, nvim: Path, config: dict[str, Any], project: Path) -> None:
    editor = start(nvim, {**config, "tab": False})
    opened(editor, project / "one.py")
    chat(editor, "What is x?")
    mapped = editor.lua(
        "local found = {} "
        "for mode in ('nvoictxs'):gmatch('.') do "
        "  for _, maps in ipairs({ vim.api.nvim_get_keymap(mode), vim.api.nvim_buf_get_keymap(0, mode) }) do "
        "    for _, map in ipairs(maps) do "
        "      if ((map.desc or '') .. (map.rhs or '')):lower():find('kruk') then found[map.lhs] = true end "
        "    end end end "
        "return vim.tbl_keys(found)"
    )
    by_hand = {"<C-Right>", "<C-End>"}  # in the test's own init
    assert {lhs for lhs in mapped if not lhs.startswith("<Plug>")} == by_hand


def test_health_has_no_error(editor: Editor, project: Path) -> None:
    editor.open(project / "numbers.py")
    editor.until_ready()
    editor.api.command("checkhealth kruk")
    report = editor.until(lambda: editor.text if "Model:" in editor.text else "", "the report")
    assert "ERROR" not in report
    assert "<Tab> accepts" in report


def test_restart_gives_a_new_server(editor: Editor, project: Path) -> None:
    editor.open(project / "numbers.py")
    editor.until_ready()
    first = editor.lua("return vim.lsp.get_clients({ name = 'kruk' })[1].id")
    editor.api.command("Kruk restart")
    editor.until(
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


def test_loads_without_an_executable(start: Start, nvim: Path, project: Path) -> None:
    editor = start(nvim, {"cmd": ["kruk-is-not-here", "serve"]})
    editor.open(project / "numbers.py")
    editor.press("i")
    editor.type("x = 1")
    editor.press("<Esc>")
    assert editor.messages() == ""
    assert "not an executable" in editor.ask("Kruk status", "Kruk")
    editor.api.command("checkhealth kruk")
    report = editor.until(lambda: editor.text if "server" in editor.text else "", "the report")
    assert "`kruk-is-not-here` is not an executable" in report


def test_a_wrong_option_is_named_and_left_out(start: Start, nvim: Path) -> None:
    editor = start(nvim, {"cmd": "kruk serve", "autostrat": False})
    assert "cmd: expected a list" in editor.messages()
    assert 'unknown option "autostrat"' in editor.messages()
    assert editor.lua("return vim.lsp.config.kruk.cmd") == ["kruk", "serve"]


def test_tab_is_a_tab_where_nothing_is_suggested(editor: Editor, project: Path) -> None:
    editor.open(project / "notes.txt")
    editor.until_ready()
    editor.lua("require('kruk').toggle()")
    editor.press("i", "<Tab>", "x")
    editor.until(lambda: editor.text == "\tx", "a tab", 5)


# -- ways to install it -----------------------------------------------------------------------------------


def test_loads_as_a_package_with_its_help(
    start: Start, nvim: Path, config: dict[str, Any], tmp_path: Path, project: Path
) -> None:
    package = tmp_path / "home" / "xdg_data_home" / "nvim" / "site" / "pack" / "kruk" / "start" / "kruk"
    shutil.copytree(PLUGIN, package)
    init = tmp_path / "init.lua"
    init.write_text("vim.g.kruk = vim.json.decode(vim.env.KRUK_TEST_CONFIG)\n")
    editor = start(nvim, config, init)
    opened(editor, project / "one.py")
    editor.api.command("helptags ALL")
    tags = editor.api.funcs.getcompletion("kruk-", "help")
    assert {"kruk-chats", "kruk-setting-completion.maxTokens"} <= set(tags)


def test_loads_with_the_built_in_package_manager(
    start: Start, nvim: Path, config: dict[str, Any], tmp_path: Path, project: Path
) -> None:
    repository = tmp_path / "repository"
    shutil.copytree(PLUGIN, repository / "editors" / "neovim")
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
    for command in (["init", "-q"], ["add", "."], [*identity, "commit", "-qm", "All"]):
        subprocess.run(["git", *command], cwd=repository, check=True, capture_output=True)
    readme = (PLUGIN / "README.md").read_text(encoding="utf-8")
    snippet = readme.split("**vim.pack**")[1].split("```lua\n")[1].split("```")[0]
    snippet = snippet.replace("REPOSITORY", repository.as_uri()).replace("load = ", "confirm = false, load = ")
    init = tmp_path / "init.lua"
    init.write_text(f"vim.g.kruk = vim.json.decode(vim.env.KRUK_TEST_CONFIG)\n{snippet}")
    opened(start(nvim, config, init), project / "one.py")
