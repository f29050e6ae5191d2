"""The completions endpoint: a real server, asked over real sockets as Zed, llama.vim and web pages would."""

import asyncio
import json
import signal
import socket
import subprocess
import sys

import psutil
import pytest
from lsprotocol import types

from lsp_server.cli import doctor
from lsp_server.endpoint.http import MAX_BODY_BYTES
from tests.conftest import ROOT

KNOWN = "def add(a, b):\n    return a + b\n\n\nprint(add(1, 2))\n"
PREFIX, SUFFIX = "def add(a, b):\n    return ", "\n\n\nprint(add(1, 2))\n"
ZED_STOPS = ["<|endoftext|>", "<|fim_prefix|>", "<|fim_middle|>", "<|fim_suffix|>"]


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def zed(prefix=PREFIX, suffix=SUFFIX):
    """The body of Zed's request with the prompt format `qwen`."""
    prompt = f"<|fim_prefix|>{prefix}<|fim_suffix|>{suffix}<|fim_middle|>"
    return {"model": "kruk", "prompt": prompt, "max_tokens": 64, "stop": ZED_STOPS}


class Client:
    """One connection."""

    def __init__(self, port):
        self.port = port

    async def __aenter__(self):
        self.reader, self.writer = await asyncio.open_connection("127.0.0.1", self.port)
        return self

    async def __aexit__(self, *_):
        self.writer.close()

    async def send(self, body, path="/v1/completions", method="POST", **headers):
        """Send a request; a header that is None is left out."""
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        fields = {
            "Host": f"127.0.0.1:{self.port}",
            "Content-Type": "application/json",
            "Content-Length": len(raw),
            **{name.replace("_", "-"): value for name, value in headers.items()},
        }
        head = "".join(f"{name}: {value}\r\n" for name, value in fields.items() if value is not None)
        self.writer.write(f"{method} {path} HTTP/1.1\r\n{head}\r\n".encode() + raw)
        await self.writer.drain()

    async def receive(self):
        """Status, headers and body of the next answer."""
        head = (await asyncio.wait_for(self.reader.readuntil(b"\r\n\r\n"), 60)).decode().split("\r\n")
        headers = dict(line.lower().split(": ", 1) for line in head[1:] if line)
        body = await self.reader.readexactly(int(headers.get("content-length", 0)))
        return int(head[0].split()[1]), headers, body.decode()


async def ask(port, body, *args, **kwargs):
    """Status and JSON of the answer to one request."""
    async with Client(port) as client:
        await client.send(body, *args, **kwargs)
        status, _, text = await client.receive()
        return status, json.loads(text)


def text_of(answer):
    (choice,) = answer["choices"]
    return choice["text"]


@pytest.fixture
async def on(start):
    """An editor's server with the endpoint on, and its port."""

    async def on(script, **options):
        port = free_port()
        editor = await start(script, options={"endpoint": {"port": port}, **options})
        await editor.until("kruk/didChangeStatus", lambda status: status.endpoint)
        return editor, port

    return on


async def test_it_is_off_unless_it_is_asked_for(start):
    editor = await start({"knows": [KNOWN]})
    await editor.ready()
    assert (await editor.request("kruk/status")).endpoint is None
    assert psutil.Process(editor.process.pid).net_connections() == []


async def test_zeds_request_is_answered_with_what_zed_reads(on):
    editor, port = await on({"knows": [KNOWN]})
    status, answer = await ask(port, zed())
    assert status == 200
    assert text_of(answer) == "a + b"
    assert answer["reason"] is None
    assert (answer["object"], answer["model"]) == ("text_completion", "fake")
    assert answer["usage"]["total_tokens"] == answer["usage"]["prompt_tokens"] + answer["usage"]["completion_tokens"]
    assert isinstance(answer["created"], int) and answer["id"]
    assert (await editor.request("kruk/lastCompletion")).text == "a + b"
    status = await editor.request("kruk/status")
    assert status.endpoint == f"http://127.0.0.1:{port}"
    assert status.endpoint in status.message


async def test_the_other_ways_to_ask(on):
    _, port = await on({"knows": [KNOWN]})
    by_suffix = {"prompt": PREFIX, "suffix": SUFFIX}
    assert text_of((await ask(port, by_suffix))[1]) == "a + b"
    assert text_of((await ask(port, {**by_suffix, "stop": " b"}))[1]) == "a +"
    assert text_of((await ask(port, {**by_suffix, "max_tokens": 0}))[1]) == ""
    infill = {"input_prefix": "def add(a, b):\n", "prompt": "    return ", "input_suffix": SUFFIX, "n_predict": 128}
    assert (await ask(port, {**infill, "input_extra": [], "samplers": []}, "/infill"))[1]["content"] == "a + b"
    ring = {"input_prefix": "", "input_suffix": "", "prompt": "", "n_predict": 0, "response_fields": [""]}
    assert (await ask(port, ring, "/infill"))[1]["content"] == ""
    status, models = await ask(port, b"", "/v1/models", "GET", Content_Type=None)
    assert (status, [row["id"] for row in models["data"]]) == (200, ["fake"])


async def test_no_more_tokens_than_were_asked_for(on):
    _, port = await on({"knows": [KNOWN]})
    status, answer = await ask(port, {"prompt": PREFIX, "suffix": SUFFIX, "max_tokens": 3})
    assert status == 200
    assert answer["usage"]["completion_tokens"] <= 3


async def test_a_stream_is_one_event_and_done(on):
    _, port = await on({"knows": [KNOWN]})
    async with Client(port) as client:
        await client.send({**zed(), "stream": True})
        status, headers, body = await client.receive()
    event, done, _ = body.split("\n\n")
    assert (status, headers["content-type"], done) == (200, "text/event-stream; charset=utf-8", "data: [DONE]")
    assert text_of(json.loads(event.removeprefix("data: "))) == "a + b"


async def test_key_strokes_on_one_connection_cost_their_own_tokens(on):
    editor, port = await on({"knows": [KNOWN]})
    async with Client(port) as client:
        for typed in ("", "x", "x ", "x = "):
            await client.send(zed(PREFIX + typed))
            assert (await client.receive())[0] == 200
    rooms = {room.room: room for room in (await editor.request("kruk/lastCompletion")).rooms}
    assert rooms["model"].evaluatedTokens <= 3


async def test_what_is_not_suggested_has_its_reason(on):
    editor, port = await on({"knows": [KNOWN]}, completion={"enabled": False})
    _, answer = await ask(port, zed())
    assert text_of(answer) == ""
    assert "switched off" in answer["reason"]
    assert await editor.reason() == answer["reason"]


async def test_a_path_in_the_prompt_counts(on):
    _, port = await on({"knows": [KNOWN]})
    body = zed()
    _, answer = await ask(port, {**body, "prompt": "<|file_sep|>deploy/.env\n" + body["prompt"]})
    assert text_of(answer) == ""
    assert ".env" in answer["reason"]


REFUSED = [
    ({"Origin": "https://example.org"}, 403, "Web pages are refused"),
    ({"Origin": "null"}, 403, "Web pages are refused"),
    ({"Origin": "http://localhost"}, 403, "Web pages are refused"),
    ({"Host": "example.org:80"}, 403, "`example.org:80` is refused. Use http://127.0.0.1:"),
    ({"Host": "127.0.0.1"}, 403, "Use http://127.0.0.1:"),
    ({"Content_Type": "text/plain"}, 415, "Content-Type: application/json"),
    ({"Content_Type": None}, 415, "Content-Type: application/json"),
    ({"Content_Length": MAX_BODY_BYTES + 1}, 413, "at most 4 MiB"),
    ({"Content_Length": "many"}, 400, "not HTTP as it should be"),
    ({"path": "/v1/chat/completions"}, 404, "POST /v1/completions"),
    ({"path": "/v1/models"}, 405, "asked with GET"),
    ({"method": "OPTIONS"}, 405, "asked with POST"),
    ({"body": b"{"}, 400, "cannot be read"),
    ({"body": b"[" * 100_000}, 400, "cannot be read"),
    ({"body": {"prompt": [1, 2]}}, 400, "Expected `str`, got `array` - at `$.prompt`"),
    ({"body": {}}, 400, "missing required field `prompt`"),
    ({"body": {"prompt": "x", "max_tokens": -1}}, 400, "$.max_tokens"),
    ({"body": b"\xff\xfe"}, 400, "cannot be read"),
]


async def test_what_is_refused(on):
    """Each with what is wrong; no answer lets a web page read it."""
    editor, port = await on({"knows": [KNOWN]})
    for kwargs, wanted, words in REFUSED:
        async with Client(port) as client:
            await client.send(**{"body": zed(), **kwargs})
            status, headers, body = await client.receive()
        assert (status, words in json.loads(body)["error"]["message"]) == (wanted, True), (kwargs, body)
        assert not [name for name in headers if name.startswith("access-control")]
    assert await editor.request("kruk/lastCompletion") is None
    assert text_of((await ask(port, zed()))[1]) == "a + b"  # it goes on


async def test_localhost_is_this_machine(on):
    _, port = await on({"knows": [KNOWN]})
    for host in ("localhost", "LOCALHOST", "[::1]"):
        assert (await ask(port, zed(), Host=f"{host}:{port}"))[0] == 200


async def test_a_body_that_grows_too_large_is_refused(on):
    _, port = await on({})
    async with Client(port) as client:
        await client.send(b"", Content_Length=None, Transfer_Encoding="chunked")
        part = b"100000\r\n" + b"x" * 0x100000 + b"\r\n"
        client.writer.write(part * 5)
        status, _, body = await client.receive()
    assert status == 413
    assert "Send less of the file" in body


async def test_a_client_that_waits_for_100_is_told_to_go_on(on):
    _, port = await on({"knows": [KNOWN]})
    raw = json.dumps(zed()).encode()
    async with Client(port) as client:
        await client.send(b"", Content_Length=len(raw), Expect="100-continue")
        assert (await client.receive())[0] == 100
        client.writer.write(raw)
        assert (await client.receive())[0] == 200


async def test_noise_is_refused_and_the_server_goes_on(on):
    _, port = await on({"knows": [KNOWN]})
    async with Client(port) as client:
        client.writer.write(b"\x16\x03\x01 not HTTP\r\n\r\n")
        assert (await client.receive())[0] == 400
    async with Client(port) as client:
        client.writer.write(b"POST /v1/completions HT")
    assert (await ask(port, zed()))[0] == 200


async def test_closing_the_connection_cancels(on):
    editor, port = await on({"knows": [KNOWN]})
    await editor.ready()
    await editor.request("fake/close")
    async with Client(port) as client:
        await client.send(zed())
        await waiting(editor)
    for _ in range(500):
        if "cancelled" in (await editor.reason()):
            break
        await asyncio.sleep(0.02)
    assert "cancelled" in await editor.reason()
    for _ in range(500):  # the model's work ends a little later: the next request might have joined it
        if (await editor.request("fake/waiting")) == 0:
            break
        await asyncio.sleep(0.02)
    assert await editor.request("fake/waiting") == 0


async def waiting(editor):
    for _ in range(500):
        if await editor.request("fake/waiting"):
            return
        await asyncio.sleep(0.02)
    raise AssertionError("the model was not asked")


async def test_a_newer_request_supersedes_the_older(on):
    editor, port = await on({"knows": [KNOWN]})
    await editor.ready()
    await editor.request("fake/close")
    async with Client(port) as old, Client(port) as new:
        await old.send(zed())
        await waiting(editor)
        await new.send(zed(PREFIX + "a"))
        answer = json.loads((await old.receive())[2])
        assert text_of(answer) == ""
        assert "superseded" in answer["reason"]
        await editor.request("fake/open")
        assert text_of(json.loads((await new.receive())[2])) == " + b"


async def test_a_taken_port_is_said_and_the_editor_goes_on(start):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        editor = await start({"knows": [KNOWN]}, options={"endpoint": {"port": port}})
        message = await editor.until("window/showMessage", lambda _: True)
        assert f"cannot listen on 127.0.0.1:{port}" in message.message
        assert "choose another port" in message.message
        assert (await editor.request("kruk/status")).endpoint is None
        assert await editor.suggest("def add(a, b):\n    return ├\n\n\nprint(add(1, 2))\n") == "a + b"
    free = free_port()
    settings = types.DidChangeConfigurationParams({"kruk": {"endpoint": {"port": free}}})
    editor.client.workspace_did_change_configuration(settings)
    await editor.until("kruk/didChangeStatus", lambda status: status.endpoint)
    assert text_of((await ask(free, zed()))[1]) == "a + b"


async def test_the_setting_turns_it_on_and_off(on):
    editor, port = await on({"knows": [KNOWN]})
    async with Client(port) as client:
        await client.send(zed())
        assert (await client.receive())[0] == 200
        settings = types.DidChangeConfigurationParams({"kruk": {"endpoint": {"port": 0}}})
        editor.client.workspace_did_change_configuration(settings)
        assert await asyncio.wait_for(client.reader.read(), 20) == b""  # what was open is closed
    with pytest.raises(OSError):
        await ask(port, zed())
    assert (await editor.request("kruk/status")).endpoint is None
    assert await editor.quit() == 0


async def test_an_editor_can_quit_while_a_client_is_connected(on):
    editor, port = await on({"knows": [KNOWN]})
    async with Client(port) as client:
        await client.send(zed())
        assert (await client.receive())[0] == 200
        assert await editor.quit() == 0


async def test_no_model_is_503_with_what_to_do(start, home):
    port = free_port()
    command = [sys.executable, "-m", "lsp_server", "serve"]
    editor = await start(command=command, options={"endpoint.port": port}, env={"KRUK_HOME": str(home)})
    await editor.until("kruk/didChangeStatus", lambda status: status.endpoint)
    await editor.until_state("error")
    status, answer = await ask(port, zed())
    assert status == 503
    assert "kruk models pull" in answer["error"]["message"]


async def test_with_the_setting_on_there_is_a_loopback_listener_and_nothing_else(start, home, tmp_path):
    seen, port = tmp_path / "seen.txt", free_port()
    command = [sys.executable, "-m", "tests.audited_server", str(seen)]
    editor = await start(command=command, options={"endpoint.port": port}, env={"KRUK_HOME": str(home)})
    await editor.until("kruk/didChangeStatus", lambda status: status.endpoint)
    await ask(port, zed())
    addresses = {(it.laddr.ip, it.status) for it in psutil.Process(editor.process.pid).net_connections()}
    assert {ip for ip, _ in addresses} == {"127.0.0.1"}
    assert await editor.quit() == 0
    (line,) = seen.read_text().splitlines()
    assert line.startswith("socket.bind")
    assert line.endswith(f"('127.0.0.1', {port}))")


@pytest.fixture
def alone(home):
    """`kruk serve --endpoint` without an editor; returns the process and its port."""
    processes = []

    def alone(*arguments):
        process = subprocess.Popen(
            [sys.executable, "-m", "lsp_server", "serve", "--endpoint", "0", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )
        processes.append(process)
        while "listens on" not in (line := process.stderr.readline()):
            assert line, "it ended"
        return process, int(line.rsplit(":", 1)[1])

    yield alone
    for process in processes:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM])
async def test_alone_it_lives_without_an_editor_and_ends_with_ctrl_c(alone, end):
    process, port = alone()
    status, answer = await ask(port, zed())
    assert status == 503
    assert "kruk models pull" in answer["error"]["message"]
    assert process.poll() is None
    process.send_signal(end)
    out, error = process.communicate(timeout=20)
    assert (process.returncode, out) == (0, "")
    assert "Traceback" not in error


def test_alone_a_taken_port_or_a_wrong_setting_ends_it_with_a_message(kruk):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        assert f"cannot listen on 127.0.0.1:{port}" in kruk("serve", "--endpoint", port, code=1).stderr
    assert "is not JSON" in kruk("serve", "--endpoint", 0, "--settings", "{", code=1).stderr


def test_the_doctor_notes_a_taken_port():
    finding = doctor._endpoint(8012, None)
    assert finding.level == "note"
    assert "8012 on 127.0.0.1 is taken" in finding.text
    assert "choose another port" in finding.advice


@pytest.mark.model
async def test_the_real_model_alone_as_zed_asks(alone, default_model):
    process, port = alone("--model", str(default_model))
    _, answer = await ask(port, zed("def add(a, b):\n    "))
    assert text_of(answer) == "return a + b"
    _, answer = await ask(port, zed("def add(a, b):\n    retu"))
    assert text_of(answer) == "rn a + b"
    assert answer["usage"]["completion_tokens"] == 0  # it was known
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=20)
    assert process.returncode == 0


@pytest.mark.model
async def test_the_real_model_keeps_its_cache_while_the_excerpt_moves(start, real):
    port = free_port()
    editor = await start(**{**real, "options": {**real["options"], "endpoint.port": port}})
    await editor.until("kruk/didChangeStatus", lambda status: status.endpoint)
    lines = [f"total_{n} = total_{n - 1} + prices[{n}] * counts[{n}]\n" for n in range(1, 90)]

    async def at(line, typed):
        place = zed("".join(lines[line - 20 : line]) + typed, "\n" + "".join(lines[line : line + 20]).rstrip("\n"))
        await ask(port, place)
        return {room.room: room for room in (await editor.request("kruk/lastCompletion")).rooms}

    await at(40, "other = ")
    lines.insert(40, "other = max(prices)\n")
    rooms = await at(41, "last = prices[le")
    assert rooms["context"].anchorKept
    assert rooms["model"].evaluatedTokens < 60
