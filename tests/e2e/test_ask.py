"""`kruk ask` as a user runs it."""

import json
import os
import signal
import subprocess
import sys

import pytest

from tests.conftest import ROOT


@pytest.fixture
def ask(home, tmp_path):
    """Run it in a folder with a file; returns what it wrote."""
    (tmp_path / "a.py").write_text("def add(a, b):\n    return a + b\n\n\nsecret = 1\n")
    (tmp_path / ".env").write_text("KEY=1\n")

    def run(*arguments, code=0, said=None):
        done = subprocess.run(
            [sys.executable, "-m", "lsp_server", "ask", *map(str, arguments)],
            input=said,
            capture_output=True,
            text=True,
            encoding="utf-8",
            cwd=tmp_path,
            env=environment(home),
            timeout=240,
            check=False,
        )
        assert done.returncode == code, done.stdout + done.stderr
        return done

    return run


def environment(home):
    return {**os.environ, "PYTHONPATH": str(ROOT), "KRUK_HOME": str(home), "COLUMNS": "120", "PYTHONUTF8": "1"}


@pytest.mark.model
def test_an_answer_about_a_file(ask, default_model):
    done = ask("What does add return? One sentence.", "a.py:1-2", "--model", default_model)
    assert "Seen: a.py lines 1-2 (" in done.stderr
    assert done.stdout.strip() and done.stdout.endswith("\n") and "\x1b" not in done.stdout


@pytest.mark.model
def test_an_answer_for_a_script(ask, default_model):
    arguments = ("-", "a.py", "--json", "--model", default_model)
    first = json.loads(ask(*arguments, said="Say OK. @.env @symbol:nothing").stdout)
    assert first["text"] and first["endedBy"] in ("model", "length", "repetition")
    assert [it["title"] for it in first["seen"]] == ["a.py"]
    assert ["never shown" in it or "no definition" in it for it in first["notShown"]] == [True, True]
    again = json.loads(ask("Say yes.", "a.py", "--json", "--model", default_model).stdout)
    assert again["reusedTokens"] > 20  # kept on disk by the one before


@pytest.mark.model
def test_a_pipe_is_shown_to_the_model(ask, default_model):
    done = ask("Say OK.", "-", "--json", "--model", default_model, said="fn main() {}\n")
    assert [it["title"] for it in json.loads(done.stdout)["seen"]] == ["stdin"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("What?", "none.py"), "`none.py` is no file"),
        (("What?", ".env"), "`.env` is never shown"),
        (("What?", "a.py:9-12"), "`a.py` has 6 lines"),
        (("  ",), "question is empty"),
        (("-", "-"), "stdin can be read once"),
        (("What?", "--model", "nothing-of-this-name"), "no model `nothing-of-this-name`"),
    ],
)
def test_what_goes_wrong_is_said(ask, arguments, words):
    done = ask(*arguments, code=1)
    assert words in done.stderr
    assert not done.stdout


@pytest.mark.model
def test_control_c_ends_it(home, tmp_path, default_model):
    if sys.platform == "win32":  # a process there cannot be sent Ctrl-C without its whole console
        return
    command = [
        sys.executable,
        "-m",
        "lsp_server",
        "ask",
        "Count from 1 to 300 in words.",
        "--model",
        str(default_model),
    ]

    def hear_signals():  # whoever runs the tests in the background may have had SIGINT ignored, which is inherited
        signal.signal(signal.SIGINT, signal.SIG_DFL)

    with subprocess.Popen(
        command, stdout=subprocess.PIPE, cwd=tmp_path, env=environment(home), preexec_fn=hear_signals
    ) as process:
        assert process.stdout and process.stdout.read(8)
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 130
        assert process.stdout.read().endswith(b"\n")
