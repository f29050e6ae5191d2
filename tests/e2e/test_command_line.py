"""The commands as a user runs them, in processes of their own."""

import json
import socket

import pytest


@pytest.fixture
def installed(home, default_model):
    """The default model in the empty KRUK_HOME."""
    folder = home / "models"
    folder.mkdir()
    (folder / "qwen2.5-coder-0.5b-instruct-q4_k_m.gguf").symlink_to(default_model)


def test_version_and_help(kruk):
    assert kruk("--version").stdout.startswith("kruk ")
    shown = kruk("--help").stdout
    for command in ("serve", "demo", "ask", "complete", "eval", "models", "doctor"):
        assert f" {command} " in shown


@pytest.mark.model
def test_complete(kruk, tmp_path, default_model):
    (tmp_path / "a.py").write_text("def add(a, b):\n    \n\n\nprint(add(1, 2))\n")
    assert kruk("complete", "a.py:2:5", "--model", default_model).stdout == "return a + b\n"
    trace = json.loads(kruk("complete", "a.py:2:5", "--model", default_model, "--json").stdout)
    assert trace["text"] == "return a + b"


@pytest.mark.parametrize(
    ("place", "words"),
    [
        ("a.py", "FILE:LINE:COL"),
        ("none.py:1:1", "cannot be read"),
        ("a.py:9:1", "2 lines"),
        ("a.py:0:1", "count from 1"),
        ("binary:1:1", "not UTF-8"),
        ("a.py:1:1", "kruk models pull"),
    ],
)
def test_complete_says_what_is_wrong(kruk, tmp_path, place, words):
    (tmp_path / "a.py").write_text("x = 1\n")
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    done = kruk("complete", place, code=1)
    assert words in done.stderr
    assert done.stdout == ""


@pytest.mark.model
def test_demo_shows_a_completion_and_an_explanation(kruk, installed):
    done = kruk("demo")
    assert "item.price * item.quantity" in done.stdout
    assert "Explanation of class Basket" in done.stdout
    assert " ms" in done.stdout
    assert "tokens" in done.stdout


@pytest.mark.model
def test_doctor_with_a_model_is_content(kruk, installed):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]  # free again behind this
    findings = json.loads(kruk("doctor", "--json", "--settings", f'{{"endpoint.port": {port}}}').stdout)
    assert [finding for finding in findings if finding["level"] == "bad"] == []
    by_topic = {finding["topic"]: finding["text"] for finding in findings}
    assert "the hash is right" in by_topic["File"]
    assert "a + b" in by_topic["Self-test"]
    assert "tokens a second" in by_topic["Self-test"]
    assert f"http://127.0.0.1:{port}" in by_topic["Endpoint"]
    assert "llama-cpp-python" in by_topic["llama.cpp"]


def test_doctor_without_a_model_says_how_to_get_one(kruk):
    done = kruk("doctor", code=1)
    assert "kruk models pull qwen2.5-coder-0.5b-instruct" in done.stdout.replace("\n", " ")


@pytest.mark.model
def test_doctor_finds_a_damaged_file(kruk, home, default_model):
    folder = home / "models"
    folder.mkdir()
    damaged = folder / "qwen2.5-coder-0.5b-instruct-q4_k_m.gguf"
    with default_model.open("rb") as source, damaged.open("wb") as target:
        target.write(source.read(30_000_000))
        target.truncate(default_model.stat().st_size)
    findings = json.loads(kruk("doctor", "--json", code=1).stdout)
    assert any("the hash is wrong" in finding["text"] for finding in findings)


@pytest.mark.parametrize("command", [["complete", "a.py:1:1"], ["ask", "Why?"], ["doctor", "--json"]])
def test_a_server_elsewhere_needs_the_switch(kruk, tmp_path, command):
    (tmp_path / "a.py").write_text("a = 1\n")
    done = kruk(*command, "--server", "http://kruk.invalid:8080", code=1)
    said = done.stdout + done.stderr
    assert "is not on this machine, and `kruk.remote.allowNonLocal` is off" in said
    assert "is sent to" not in said
    done = kruk(*command, "--server", "http://kruk.invalid:8080", "--allow-non-local", code=1)
    assert "`kruk.remote.allowNonLocal` is on: text is sent to http://kruk.invalid:8080" in done.stderr
    assert "No server answers at `http://kruk.invalid:8080`" in done.stdout + done.stderr


@pytest.mark.parametrize("command", [["complete", "a.py:1:1"], ["ask", "Why?"], ["doctor"]])
def test_settings_that_are_wrong_are_said(kruk, tmp_path, command):
    (tmp_path / "a.py").write_text("a = 1\n")
    assert "is not JSON" in kruk(*command, "--settings", "{", code=1).stderr
    assert "Did you mean `remote.url`" in kruk(*command, "--settings", '{"remote.ur": "x"}', code=1).stderr
    no_address = kruk(*command, "--server", "nowhere", "--allow-non-local", code=1).stderr
    assert "`nowhere` is no address of a server" in no_address
