"""Start, end, order of messages, and what comes over the wire when things go wrong."""

import asyncio
import json
import os
import subprocess
import sys
import time

import psutil
import pytest

from tests.conftest import ROOT


class Wire:
    """A server spoken to in raw bytes."""

    def __init__(self, command, **kwargs):
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT, **kwargs
        )

    def send(self, message):
        self.send_raw(json.dumps({"jsonrpc": "2.0", **message}).encode())

    def send_raw(self, body):
        self.process.stdin.write(b"Content-Length: %d\r\n\r\n" % len(body) + body)
        self.process.stdin.flush()

    def receive(self):
        """The next message; fails on any byte that is not protocol."""
        line = self.process.stdout.readline()
        if not line:
            return None
        assert line.startswith(b"Content-Length: "), line
        assert self.process.stdout.readline() == b"\r\n"
        return json.loads(self.process.stdout.read(int(line.split()[1])))

    def answer(self, number):
        while True:
            message = self.receive()
            if message.get("id") == number and "method" not in message:
                return message

    def initialize(self, **params):
        self.send({"id": 1, "method": "initialize", "params": {"capabilities": {}, **params}})
        return self.answer(1)

    def end(self):
        self.process.stdin.close()
        return self.process.wait(20)


@pytest.fixture
def wire(tmp_path):
    wires = []

    def start(script=None, command=None, **kwargs):
        path = tmp_path / f"script{len(wires)}.json"
        path.write_text(json.dumps(script or {}))
        wires.append(Wire(command or [sys.executable, "-m", "tests.fake_server", str(path)], **kwargs))
        return wires[-1]

    yield start
    for each in wires:
        each.process.kill()
        each.process.wait()
        for stream in (each.process.stdin, each.process.stdout, each.process.stderr):
            stream.close()


def test_exit_after_shutdown_is_0(wire):
    server = wire()
    server.initialize()
    server.send({"id": 2, "method": "shutdown"})
    assert server.answer(2)["result"] is None
    server.send({"method": "exit"})
    assert server.process.wait(20) == 0


def test_exit_without_shutdown_is_1(wire):
    server = wire()
    server.initialize()
    server.send({"method": "exit"})
    assert server.process.wait(20) == 1


def test_end_of_input_is_1(wire):
    server = wire()
    server.initialize()
    assert server.end() == 1


def test_exit_while_the_model_loads_or_works(wire):
    server = wire({"loadSeconds": 60})
    server.initialize()
    started = time.monotonic()
    server.send({"id": 2, "method": "shutdown"})
    server.answer(2)
    server.send({"method": "exit"})
    assert server.process.wait(20) == 0
    assert time.monotonic() - started < 15


def test_a_request_before_initialize_and_after_shutdown(wire):
    server = wire()
    server.send({"id": 7, "method": "kruk/status"})
    assert server.answer(7)["error"]["code"] == -32002
    server.initialize()
    server.send({"id": 2, "method": "initialize", "params": {"capabilities": {}}})
    assert server.answer(2)["error"]["code"] == -32600
    server.send({"id": 3, "method": "shutdown"})
    server.answer(3)
    server.send({"id": 4, "method": "kruk/status"})
    assert server.answer(4)["error"]["code"] == -32600


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"{not json", -32700),
        (b"[1, 2]", -32600),
        (b'{"jsonrpc": "2.0", "id": {}, "method": "kruk/status"}', -32600),
        (b'{"jsonrpc": "2.0", "id": 5}', -32600),
    ],
)
def test_a_malformed_message_is_answered_and_the_server_goes_on(wire, body, code):
    server = wire()
    server.initialize()
    server.send_raw(body)
    assert server.answer(None)["error"]["code"] == code
    server.send({"id": 9, "method": "kruk/status"})
    assert server.answer(9)["result"]["state"]


@pytest.mark.parametrize(
    ("method", "params", "code", "words"),
    [
        ("textDocument/inlineCompletion", {"position": {"line": 0}}, -32602, "textDocument"),
        ("textDocument/inlineCompletion", None, -32602, "textDocument"),
        ("textDocument/inlineCompletion", {"textDocument": {"uri": 3}}, -32602, "$.textDocument.uri"),
        ("textDocument/hover", {}, -32601, "no such method"),
        ("workspace/executeCommand", {"command": "kruk.explian"}, -32602, "`kruk.explain`"),
        ("workspace/executeCommand", {"command": "kruk.useModel"}, -32602, "one argument"),
        (
            "workspace/executeCommand",
            {"command": "kruk.useModel", "arguments": ["qwen2.5-codr-0.5b"]},
            -32602,
            "mean",
        ),
        ("workspace/executeCommand", {"command": "kruk.explain", "arguments": [{"uri": "x:y"}]}, -32602, "not open"),
    ],
)
def test_a_request_with_wrong_params_is_answered_with_what_is_wrong(wire, method, params, code, words):
    server = wire()
    server.initialize()
    server.send({"id": 2, "method": method, "params": params})
    error = server.answer(2)["error"]
    assert error["code"] == code
    assert words in error["message"]


def test_headers_may_be_in_any_case_and_have_company(wire):
    server = wire()
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {"capabilities": {}}}).encode()
    head = b"content-length: %d\r\nContent-Type: application/vscode-jsonrpc; charset=utf-8\r\n\r\n" % len(body)
    server.process.stdin.write(b"a stray line\r\n" + head + body)
    server.process.stdin.flush()
    assert server.answer(1)["result"]["serverInfo"]["name"] == "kruk"


def test_initialize_is_answered_while_the_model_loads(wire):
    server = wire({"loadSeconds": 60})
    server.initialize()
    server.send({"id": 2, "method": "kruk/status"})
    assert server.answer(2)["result"]["state"] == "loading"


def test_a_stray_print_and_debug_logs_never_reach_stdout(wire):
    """`receive` fails on every byte that is not protocol; the fake prints while it loads."""
    server = wire({"knows": ["x = 1\n"]})
    server.initialize(initializationOptions={"logLevel": "debug"})
    item = {"uri": "file:///a.py", "languageId": "python", "version": 1, "text": "x = "}
    server.send({"method": "textDocument/didOpen", "params": {"textDocument": item}})
    place = {"textDocument": {"uri": "file:///a.py"}, "position": {"line": 0, "character": 4}}
    server.send({"id": 2, "method": "textDocument/inlineCompletion", "params": place})
    assert server.answer(2)["result"]["items"][0]["insertText"] == "1"
    server.send({"id": 3, "method": "nonsense"})
    assert "error" in server.answer(3)
    server.send({"id": 4, "method": "shutdown"})
    server.answer(4)
    server.send({"method": "exit"})
    while server.receive():
        pass
    assert b"a stray print" in server.process.stderr.read()


def test_no_process_is_left_when_the_client_is_killed(tmp_path):
    """The client dies by SIGKILL while somebody else still holds the pipes open: the watchdog ends the server."""
    script = tmp_path / "script.json"
    script.write_text("{}")
    client = tmp_path / "client.py"
    client.write_text(
        "import json, os, subprocess, sys, time\n"
        "server = subprocess.Popen([sys.executable, '-m', 'tests.fake_server', sys.argv[1]],\n"
        "    stdin=subprocess.PIPE, stdout=subprocess.PIPE)\n"
        "body = json.dumps({'jsonrpc': '2.0', 'id': 1, 'method': 'initialize',\n"
        "    'params': {'capabilities': {}, 'processId': os.getpid()}}).encode()\n"
        "server.stdin.write(b'Content-Length: %d\\r\\n\\r\\n' % len(body) + body)\n"
        "server.stdin.flush()\n"
        "server.stdout.readline()\n"
        "holder = subprocess.Popen(['sleep', '600'], stdin=server.stdin, stdout=server.stdout, pass_fds=\n"
        "    (server.stdin.fileno(),))\n"
        "print(server.pid, holder.pid, flush=True)\n"
        "time.sleep(600)\n"
    )
    running = subprocess.Popen(
        [sys.executable, str(client), str(script)], stdout=subprocess.PIPE, text=True, cwd=ROOT
    )
    with running.stdout:
        server, holder = map(int, running.stdout.readline().split())
        try:
            running.kill()
            running.wait()
            psutil.wait_procs([psutil.Process(server)] if psutil.pid_exists(server) else [], timeout=20)
            assert not psutil.pid_exists(server)
        finally:
            psutil.Process(holder).kill()


async def test_no_model_on_disk(start, home):
    """The server runs, names the command that gets a model, and answers null."""
    command = [sys.executable, "-m", "lsp_server", "serve"]
    editor = await start(command=command, env={"KRUK_HOME": str(home)})
    message = await editor.until("window/showMessage", lambda params: True)
    assert "kruk models pull qwen2.5-coder-0.5b-instruct" in message.message
    editor.open("x = ")
    assert await editor.ask(0, 4) is None
    assert "kruk models pull" in await editor.reason()
    status = await editor.request("kruk/status")
    assert status.state == "error"
    assert await editor.quit() == 0


@pytest.mark.parametrize(
    ("content", "words"),
    [(b"", "empty"), (b"GGUF\x03\0\0\0" + os.urandom(4000), ""), (b"<html>not found</html>", "web page")],
    ids=["empty", "noise", "html"],
)
async def test_a_broken_model_file(start, home, tmp_path, content, words):
    path = tmp_path / "broken.gguf"
    path.write_bytes(content)
    command = [sys.executable, "-m", "lsp_server", "serve"]
    editor = await start(command=command, options={"model": str(path)}, env={"KRUK_HOME": str(home)})
    status = await editor.until("kruk/didChangeStatus", lambda params: params.state == "error")
    assert words in status.message
    assert "broken.gguf" in status.message
    editor.open("x = ")
    assert await editor.ask(0, 4) is None
    assert await editor.reason() == status.message
    assert await editor.quit() == 0


async def test_an_unknown_model_names_the_nearest(start, home):
    command = [sys.executable, "-m", "lsp_server", "serve"]
    editor = await start(command=command, options={"model": "qwen2.5-coder-05b"}, env={"KRUK_HOME": str(home)})
    status = await editor.until("kruk/didChangeStatus", lambda params: params.state == "error")
    assert "`qwen2.5-coder-0.5b" in status.message


async def test_a_model_that_fails_to_load_and_another_one_after_it(start):
    editor = await start({"knows": ["x = 1\n"]}, options={"model": "broken"})
    await editor.until("kruk/didChangeStatus", lambda params: params.state == "error")
    editor.open("x = ")
    assert await editor.ask(0, 4) is None
    assert "the fake is broken" in await editor.reason()
    editor.client.workspace_did_change_configuration(_pushed({"kruk": {"model": "good"}}))
    await editor.ready()
    assert (await editor.ask(0, 4)).items[0].insert_text == "1"


def _pushed(settings):
    from lsprotocol import types

    return types.DidChangeConfigurationParams(settings)


def test_tcp_listens_on_loopback_only(home):
    command = [sys.executable, "-m", "lsp_server", "serve", "--tcp", "0"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, cwd=ROOT, text=True)
    with process.stderr:
        line = process.stderr.readline()
        port = int(line.rsplit(":", 1)[1])
        addresses = {connection.laddr for connection in psutil.Process(process.pid).net_connections()}
        assert addresses == {("127.0.0.1", port)}
        process.kill()
        process.wait()


async def test_it_is_quiet_when_nothing_is_wrong(start):
    editor = await start({"knows": ["x = 1\n"]})
    editor.open("x = ")
    await editor.ask(0, 4)
    await asyncio.sleep(0)
    assert [note for note in editor.notes if note[0] == "window/showMessage"] == []
    assert await editor.quit() == 0
