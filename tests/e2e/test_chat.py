"""Explanations and chat, streamed."""

import asyncio

import pytest
from lsprotocol import types
from pygls.exceptions import JsonRpcException

from tests.e2e.conftest import URI

WORDS = "It adds two numbers. " * 10


def streamed(editor, token):
    values = [params.value for name, params in editor.notes if name == "$/progress" and params.token == token]
    kinds = [value["kind"] if isinstance(value, dict) else value.kind for value in values]
    said = [
        value["message"] if isinstance(value, dict) else getattr(value, "message", None) for value in values[1:-1]
    ]
    return kinds, "".join(said)


async def test_explain_streams_and_returns_the_whole(start):
    editor = await start({"says": WORDS})
    editor.open("def add(a, b):\n    return a + b\n")
    params = types.ExecuteCommandParams("kruk.explain", [{"uri": URI}], work_done_token="t")
    answer = await editor.request("workspace/executeCommand", params)
    assert answer["text"] == WORDS.strip()
    kinds, said = streamed(editor, "t")
    assert (kinds[0], kinds[-1], set(kinds[1:-1])) == ("begin", "end", {"report"})
    assert said == WORDS


async def test_chat(start):
    editor = await start({"says": "Hello."})
    answer = await editor.request("kruk/chat", {"messages": [{"role": "user", "content": "Hi"}]})
    assert (answer.text, answer.endedBy) == ("Hello.", "model")


async def test_a_completion_cuts_in_on_an_answer(start):
    editor = await start({"says": WORDS, "knows": ["x = 1\n"]})
    await editor.ready()
    editor.open("x = ")
    await editor.request("fake/close")
    chat = asyncio.ensure_future(editor.request("kruk/chat", {"messages": [{"role": "user", "content": "Hi"}]}))
    while not await editor.request("fake/waiting"):
        await asyncio.sleep(0.01)
    completion = asyncio.ensure_future(editor.ask(0, 4))
    await asyncio.sleep(0.2)
    await editor.request("fake/let", {"n": 5})
    assert (await completion).items[0].insert_text == "1"
    assert not chat.done()
    await editor.request("fake/open")
    assert (await chat).text == WORDS.strip()


async def test_cancelling_an_answer(start):
    editor = await start({"says": WORDS})
    await editor.ready()
    await editor.request("fake/close")
    params = {"messages": [{"role": "user", "content": "Hi"}]}
    future = editor.client.protocol.send_request("kruk/chat", params, msg_id="c")
    while not await editor.request("fake/waiting"):
        await asyncio.sleep(0.01)
    editor.client.cancel_request(types.CancelParams(id="c"))
    with pytest.raises(JsonRpcException, match="cancelled"):
        await asyncio.wait_for(asyncio.wrap_future(future), 10)
