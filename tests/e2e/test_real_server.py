"""The real server with the real model, over real stdio."""

import subprocess
import sys

import pytest
from lsprotocol import types

from tests.conftest import ROOT
from tests.e2e.conftest import URI, texts

pytestmark = pytest.mark.model

ADD = "def add(a, b):\n    ├\n\n\nprint(add(1, 2))\n"


async def test_a_suggestion_an_explanation_and_a_proper_end(start, real):
    editor = await start(**real)
    assert await editor.suggest(ADD) == "return a + b"
    editor.type(types.Position(1, 4), "return b")
    assert "+" in texts(await editor.ask(1, 12))
    trace = await editor.request("kruk/lastCompletion")
    rooms = {room.room: room for room in trace.rooms}
    assert rooms["model"].evaluatedTokens <= 4
    run = types.ExecuteCommandParams("kruk.explain", [{"uri": URI}], work_done_token="e")
    answer = await editor.client.workspace_execute_command_async(run)
    assert "add" in answer["text"].lower()
    reports = [note for name, note in editor.notes if name == "$/progress"]
    assert len(reports) >= 5
    assert await editor.quit() == 0


async def test_initialize_does_not_wait_for_the_model(start, real):
    editor = await start(**real)
    assert (await editor.request("kruk/status")).state == "loading"
    await editor.ready()


@pytest.mark.parametrize(
    ("language", "drawn", "wanted"),
    [
        ("typescript", "function add(a: number, b: number): number {\n  ├\n}\n\nadd(1, 2);\n", "return a + b"),
        ("go", "package main\n\nfunc add(a int, b int) int {\n\t├\n}\n\nfunc main() { add(1, 2) }\n", "return a + b"),
        ("rust", "fn add(a: i32, b: i32) -> i32 {\n    ├\n}\n\nfn main() { add(1, 2); }\n", "a + b"),
        ("java", "class A {\n    static int add(int a, int b) {\n        ├\n    }\n}\n", "return a + b"),
        ("c", "int add(int a, int b) {\n    ├\n}\n\nint main(void) { return add(1, 2); }\n", "return a + b"),
        ("cpp", "int add(int a, int b) {\n    ├\n}\n\nint main() { return add(1, 2); }\n", "return a + b"),
        ("javascript", "function add(a, b) {\n  ├\n}\n\nconsole.log(add(1, 2));\n", "return a + b"),
    ],
)
async def test_the_languages(start, real, language, drawn, wanted):
    editor = await start(**real)
    text = await editor.suggest(drawn, language=language)
    assert text.startswith(wanted)
    assert "}" not in text  # the brace stands in the file already


async def test_no_socket_is_opened(start, real, tmp_path):
    """A whole editing run, from initialize to exit, with every socket and URL watched."""
    seen = tmp_path / "seen.txt"
    editor = await start(**{**real, "command": [sys.executable, "-m", "tests.audited_server", str(seen)]})
    assert await editor.suggest(ADD) == "return a + b"
    editor.type(types.Position(1, 4), "x = ")
    await editor.ask(1, 8, invoked=False)
    run = types.ExecuteCommandParams("kruk.explain", [{"uri": URI}])
    assert (await editor.client.workspace_execute_command_async(run))["text"]
    assert await editor.quit() == 0
    assert seen.read_text() == ""


def test_the_watch_sees_a_socket(tmp_path):
    """The test above could not fail if the hook were blind."""
    seen = tmp_path / "seen.txt"
    code = (
        f"import sys; sys.argv = ['x', {str(seen)!r}]\n"
        "import lsp_server.cli.serve as serve, socket\n"
        "serve.serve_stdio = lambda: socket.create_server(('127.0.0.1', 0)).close()\n"
        "import tests.audited_server"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)
    assert "socket.bind" in seen.read_text()
