"""A server in the place of the model: every kind, and everything that can go wrong with one. Over real sockets."""

import asyncio
import itertools
import sys

import pytest
from lsprotocol import types
from pygls.exceptions import JsonRpcException

from tests.e2e.conftest import URI, texts
from tests.e2e.test_chat import said, streamed
from tests.e2e.test_code_actions import Desk, able
from tests.model_server import serving

SERVE = [sys.executable, "-m", "lsp_server", "serve"]
ADD = "def add(a, b):\n    ├\n\n\nprint(add(1, 2))\n"
KNOWN, UNKNOWN = "qwen2.5-coder:1.5b", "our-own-model"


def fills(prefix, suffix):
    """Knows what `ADD` looks like when it is finished."""
    whole = "def add(a, b):\n    return a + b\n\n\nprint(add(1, 2))\n"
    assert whole.startswith(prefix) and suffix.startswith("\n")
    return whole[len(prefix) :].removesuffix(suffix)


def options(server, **others):
    return {"remote": {"url": server.url, **others}}


async def run_action(editor, name, **argument):
    params = types.ExecuteCommandParams(f"kruk.{name}", [{"uri": URI, **argument}], work_done_token=name)
    return await editor.request("workspace/executeCommand", params)


@pytest.mark.parametrize("model", [KNOWN, UNKNOWN])
@pytest.mark.parametrize("kind", ["llama.cpp", "ollama", "openai"])
async def test_completion_explanation_and_chat(start, kind, model):
    async with serving(kind, fills=fills, model=model) as server:
        editor = await start(command=SERVE, options=options(server))
        assert await editor.suggest(ADD) == "return a + b"
        explained = await run_action(editor, "explain")
        assert explained["text"] == "It adds." == streamed(editor, "explain")[1]
        answer = await editor.request("kruk/chat", said("Hi", workDoneToken="t"))
        assert (answer.text, answer.endedBy) == ("It adds.", "model")
        await editor.until_state("ready")
        status = await editor.request("kruk/status")
        assert (status.server.url, status.server.isLocal) == (server.url, True)
        assert await editor.quit() == 0
    asked = [path for path, body in server.asked if body]
    fill = {"llama.cpp": "/infill" if model == UNKNOWN else "/completion", "ollama": "/api/generate"}
    chat = "/api/chat" if kind == "ollama" else "/v1/chat/completions"
    assert set(asked) == {fill.get(kind, "/v1/completions"), chat}


VALUES = "".join(f"value_{i} = {i}\n" for i in range(60)) + "total = \n"
AT_TOTAL = {"textDocument": {"uri": URI}, "position": {"line": 60, "character": 8}}


def ahead(server):
    """The prompts whose answers nobody wanted."""
    return [body["prompt"] for _, body in server.asked if body.get("n_predict") == 0]


async def test_the_prompt_at_a_resting_cursor_is_evaluated_in_parts(start):
    async with serving("llama.cpp", fills=lambda prefix, suffix: "sum()") as server:
        editor = await start(command=SERVE, options=options(server))
        await editor.ready()
        editor.open(VALUES)
        editor.client.protocol.notify("kruk/didMoveCursor", AT_TOTAL)
        await until(lambda: ahead(server) and ahead(server)[-1].endswith("total ="))
        parts = ahead(server)
        assert len(parts) > 2 and all(b.startswith(a) and a != b for a, b in itertools.pairwise(parts))
        editor.client.protocol.notify("kruk/didMoveCursor", AT_TOTAL)
        assert texts(await editor.ask(60, 8)) == "sum()"
        assert ahead(server) == parts  # there was nothing left to evaluate
        assert server.asked[-1][1]["prompt"].startswith(parts[-2])


async def test_whoever_asks_does_not_wait_for_what_is_evaluated_ahead(start):
    async with serving("llama.cpp", fills=fills, slots=1, after=0) as server:
        editor = await start(command=SERVE, options=options(server))
        await editor.ready()
        editor.open(VALUES)
        server.is_open.clear()
        editor.client.protocol.notify("kruk/didMoveCursor", AT_TOTAL)
        await until(lambda: server.n_held == 1)
        asked = asyncio.ensure_future(editor.suggest(ADD))
        await until(lambda: server.n_dropped == 1 and server.n_held == 2)
        server.is_open.set()
        assert await asked == "return a + b"
        assert len(ahead(server)) == 1


async def test_typing_through_joining_and_the_trace(start):
    async with serving("llama.cpp", fills=fills) as server:
        editor = await start(command=SERVE, options=options(server))
        assert await editor.suggest(ADD) == "return a + b"
        editor.type(types.Position(1, 4), "return a")
        assert texts(await editor.ask(1, 12, invoked=False)) == " + b"
        rooms = {room.room: room for room in (await editor.request("kruk/lastCompletion")).rooms}
        assert rooms["cache"].hit and rooms["cache"].confidence > 0.5
        assert not [body for path, body in server.asked if body and body["prompt"].endswith("return a")]


@pytest.mark.parametrize(("probability", "wanted"), [(0.9, True), (0.3, False), (None, True)])
async def test_what_the_model_doubts_is_kept_back_where_the_server_tells_it(start, probability, wanted):
    async with serving("openai", fills=fills, probability=probability) as server:
        editor = await start(command=SERVE, options=options(server))
        assert await editor.suggest(ADD, invoked=False) == ("return a + b" if wanted else None)
        if not wanted:
            assert "not sure enough" in await editor.reason()
        answer = await editor.request("kruk/chat", said("Hi"))
        assert answer.text == "It adds."


@pytest.mark.parametrize("goes_on", [True, False])
async def test_an_answer_that_is_begun_for_the_model(start, goes_on):
    async with serving("openai", says="Adds two numbers.", goes_on=goes_on) as server:
        editor = await start(command=SERVE, options=options(server), capabilities=able())
        desk = Desk(editor, None)
        desk.open("def add(a, b):\n    return a + b\n")
        place = types.Range(types.Position(0, 4), types.Position(0, 4))
        assert (await desk.command("kruk.document", {"uri": URI, "range": place}))["applied"]
        assert desk.texts[URI] == 'def add(a, b):\n    """Adds two numbers."""\n    return a + b\n'
        begun = server.asked[-1][1]["messages"][-1]
        assert begun["role"] == "assistant" and begun["content"].endswith('"""')


async def test_no_text_becomes_a_turn_or_a_mark(start):
    async with serving("llama.cpp", says="<|im\u2060_end|> is a mark.", fills=lambda prefix, suffix: "x") as server:
        editor = await start(command=SERVE, options=options(server))
        answer = await editor.request("kruk/chat", said("What is <|im_end|>?"))
        assert answer.text == "<|im_end|> is a mark."
        assert "<|im_end|>" not in server.asked[-1][1]["messages"][-1]["content"]
        await editor.suggest("mark = '<|fim_suffix|>'\ny = ├\n")
        prompts = [body["prompt"] for path, body in server.asked if path == "/completion"]
        assert prompts and all(prompt.count("<|fim_suffix|>") == 1 for prompt in prompts)


async def test_cancelling_closes_the_connection(start):
    async with serving("llama.cpp", says="word " * 50, fills=fills) as server:
        editor = await start(command=SERVE, options=options(server))
        await editor.ready()
        server.is_open.clear()
        asked = asyncio.ensure_future(editor.request("kruk/chat", said("Hi", workDoneToken="t")))
        await until(lambda: server.n_held == 1)
        editor.client.protocol.notify(types.WINDOW_WORK_DONE_PROGRESS_CANCEL, types.WorkDoneProgressCancelParams("t"))
        await until(lambda: server.n_dropped == 1)
        with pytest.raises(JsonRpcException):
            await asked
        first = asyncio.ensure_future(editor.suggest(ADD))
        await until(lambda: server.n_held == 2)
        editor.type(types.Position(1, 4), "x")  # what is being said does not go on like this
        second = asyncio.ensure_future(editor.ask(1, 5))
        await until(lambda: server.n_dropped == 2)
        assert await first is None
        server.is_open.set()
        await second


@pytest.mark.parametrize("slots", [1, 4])
async def test_a_suggestion_does_not_wait_for_the_chat(start, slots):
    """A server that does one thing at a time is asked for the rest of the answer afterwards."""
    words = " ".join(f"word{n}" for n in range(50))
    async with serving("llama.cpp", says=words, fills=fills, slots=slots) as server:
        editor = await start(command=SERVE, options=options(server))
        await editor.ready()
        server.is_open.clear()
        asked = asyncio.ensure_future(editor.request("kruk/chat", said("Hi")))
        await until(lambda: server.n_held == 1)
        server.after = 1000
        assert await editor.suggest(ADD) == "return a + b"
        server.is_open.set()
        assert (await asked).text == words
        n_chats = [path for path, body in server.asked].count("/v1/chat/completions")
        assert (
            n_chats == 1 if slots > 1 else n_chats > 1
        )  # what is made ahead of the next request may be in between, too


async def test_a_server_that_dies_in_the_middle_and_comes_back(start):
    async with serving("llama.cpp", says="word " * 50, fills=fills) as server:
        editor = await start(command=SERVE, options=options(server))
        await editor.ready()
        server.is_open.clear()
        asked = asyncio.ensure_future(editor.request("kruk/chat", said("Hi", workDoneToken="t")))
        await until(lambda: server.n_held == 1)
        await server.stop()
        with pytest.raises(JsonRpcException, match=f"`{server.url}` broke"):
            await asked
        await editor.until_state("error")
        shown = await editor.until("window/showMessage", lambda note: server.url in note.message)
        assert shown.type == types.MessageType.Error
        assert await editor.suggest(ADD) is None
        assert f"No server answers at `{server.url}`" in await editor.reason()
        await server.start(server.port)
        assert texts(await editor.ask(1, 4)) == "return a + b"
        assert (await editor.request("kruk/chat", said("Hi"))).text.startswith("word")
        await editor.until_state("ready")


async def test_a_server_that_is_started_later(start):
    async with serving("ollama", fills=fills) as server:
        await server.stop()
        editor = await start(command=SERVE, options=options(server))
        await editor.until_state("error")
        assert await editor.suggest(ADD) is None
        await server.start(server.port)
        assert texts(await editor.ask(1, 4)) == "return a + b"


async def test_a_silent_server_is_given_up_in_time(start):
    async with serving("llama.cpp", says="word " * 50, fills=fills) as server:
        editor = await start(command=SERVE, options=options(server, patience=1))
        await editor.ready()
        server.is_open.clear()
        with pytest.raises(JsonRpcException, match="has said nothing for 1 s"):
            await editor.request("kruk/chat", said("Hi"))
        assert server.n_dropped == 1
        server.is_open.set()
        assert await editor.suggest(ADD) == "return a + b"


def http(status, body, header=""):
    return f"HTTP/1.1 {status} X\r\n{header}Content-Length: {len(body)}\r\n\r\n{body}".encode()


HTML = http(200, "<html></html>")
MOVED = http(302, "", "Location: http://127.0.0.1:1/elsewhere\r\n")
LOADING = http(503, '{"error": {"message": "Loading model"}}')


@pytest.mark.parametrize(
    ("facts", "wanted"),
    [
        ({"key": "secret"}, "does not let Kruk in (401: Invalid API Key). Give its key by"),
        ({"reply": HTML}, "answers in a way that Kruk does not understand. Check `kruk.remote.url`"),
        ({"reply": MOVED}, "redirects to `http://127.0.0.1:1/elsewhere`. Redirections are not followed"),
        ({"reply": LOADING}, "refused (503: Loading model). Kruk asks again"),
        ({"kind": "openai", "models": ("one", "two")}, "Name one as `kruk.remote.model`. It has `one`, `two`"),
        ({"kind": "nothing", "model": ""}, "answers in a way that Kruk does not understand"),
    ],
)
async def test_why_there_is_no_model(start, facts, wanted):
    async with serving(facts.pop("kind", "llama.cpp"), **facts) as server:
        kind = "llama.cpp" if facts.get("model") == "" else "auto"
        editor = await start(command=SERVE, options=options(server, kind=kind))
        await editor.until_state("error")
        assert wanted in (await editor.request("kruk/status")).message
        assert "secret" not in str(editor.notes)
        assert await editor.quit() == 0


@pytest.mark.parametrize(
    ("said_by_server", "wanted"),
    [
        (http(200, 'data: {"conten\n'), "does not understand"),
        (http(200, 'data: {"choices": 3}\n'), "does not understand"),
        (http(200, ""), "broke off in the middle"),
        (http(404, "{}"), "is not there (404"),
        (http(400, '{"error": {"message": "too long"}}'), "refused (400: too long)"),
        (http(200, 'data: {"error": "out of memory"}\n\n'), "broke off: out of memory"),
    ],
)
async def test_a_strange_answer_has_a_reason(start, said_by_server, wanted):
    async with serving("llama.cpp", fills=fills) as server:
        editor = await start(command=SERVE, options=options(server))
        await editor.ready()
        server.reply = said_by_server
        assert await editor.suggest(ADD) is None
        assert wanted in await editor.reason()
        server.reply = b""
        assert texts(await editor.ask(1, 4)) == "return a + b"


@pytest.mark.parametrize("by", ["environment", "file"])
async def test_the_key_is_sent_and_never_shown(start, tmp_path, by):
    (tmp_path / "key").write_text("secret\n")
    async with serving("llama.cpp", fills=fills, key="secret") as server:
        how = {"env": {"KRUK_REMOTE_KEY": "secret"}} if by == "environment" else {}
        key_file = {} if by == "environment" else {"keyFile": str(tmp_path / "key")}
        editor = await start(command=SERVE, options=options(server, **key_file) | {"logLevel": "debug"}, **how)
        assert await editor.suggest(ADD) == "return a + b"
        assert "secret" not in str(editor.notes)


async def test_an_address_elsewhere_needs_a_switch_that_is_shown(start):
    elsewhere = {"url": "http://kruk.invalid:8080"}
    editor = await start(command=SERVE, options={"remote": elsewhere})
    await editor.until_state("error")
    assert (
        "is not on this machine, and `kruk.remote.allowNonLocal` is off"
        in (await editor.request("kruk/status")).message
    )
    editor.client.workspace_did_change_configuration(
        types.DidChangeConfigurationParams({"kruk": {"remote": {**elsewhere, "allowNonLocal": True}}})
    )
    status = await editor.until("kruk/didChangeStatus", lambda status: "No server answers" in status.message)
    assert status.allowsNonLocal and "`kruk.remote.allowNonLocal` is on" in status.message
    editor.client.workspace_did_change_configuration(
        types.DidChangeConfigurationParams({"kruk": {"remote": {"allowNonLocal": True}}})
    )
    await editor.until("kruk/didChangeStatus", lambda status: status.server is None and "may leave" in status.message)


async def test_only_that_address_is_contacted(start, tmp_path):
    """From initialize to exit, with a proxy in the environment that would see everything."""
    seen = tmp_path / "seen.txt"
    async with serving("llama.cpp", fills=fills) as server, serving("llama.cpp") as proxy:
        trap = {"HTTP_PROXY": proxy.url, "http_proxy": proxy.url, "ALL_PROXY": proxy.url}
        command = [sys.executable, "-m", "tests.audited_server", str(seen)]
        editor = await start(command=command, options=options(server), env=trap)
        assert await editor.suggest(ADD) == "return a + b"
        assert (await editor.request("kruk/chat", said("Hi"))).text == "It adds."
        assert await editor.quit() == 0
        assert not proxy.asked
    events = seen.read_text().splitlines()
    assert events and all(f"('127.0.0.1', {server.port}" in event or _is_own(event) for event in events)


def _is_own(event):
    """Windows makes the pair of sockets that wakes an event loop by a connection to itself."""
    return sys.platform == "win32" and "('127.0.0.1', " in event


async def until(holds):
    for _ in range(1000):
        if holds():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it never came to that")
