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


def said(*texts, **others):
    """Params of a conversation whose first turn is the user's."""
    roles = ["user", "assistant"] * len(texts)
    return {"messages": [{"role": role, "content": text} for role, text in zip(roles, texts, strict=False)], **others}


async def test_chat(start):
    editor = await start({"says": "Hello."})
    answer = await editor.request("kruk/chat", said("Hi", workDoneToken="t"))
    assert (answer.text, answer.endedBy, answer.note, answer.droppedTurns) == ("Hello.", "model", "", 0)
    assert streamed(editor, "t")[1] == "Hello."


async def test_what_a_client_hears_and_gets_is_harmless(start):
    editor = await start({"says": "Look: <img src=x> [a](command:b) `<b>`\n\n```html\n<p>\n```"})
    wanted = "Look: \\<img src=x> [a]\\(command:b) `<b>`\n\n```html\n<p>\n```"
    answer = await editor.request("kruk/chat", said("Hi", workDoneToken="t"))
    assert answer.text == wanted
    assert streamed(editor, "t")[1] == wanted


async def test_conversations_side_by_side(start):
    """Two conversations that begin alike, in turns: nothing that was evaluated is evaluated again."""
    editor = await start({"says": "Hello."})
    for name in "ab":
        await editor.request("kruk/chat", said("Hi " * 100, conversationId=name))
    for name in "abab":
        answer = await editor.request("kruk/chat", said("Hi " * 100, "Hello.", f"And {name}?", conversationId=name))
        assert answer.text == "Hello." and answer.reusedTokens > 300 + len("Hello.")


async def test_a_chat_says_what_the_model_saw_before_its_answer(start, tmp_path):
    (tmp_path / "a.py").write_text("one = 1\n" * 2000)
    editor = await start({"says": "Hello."}, root=tmp_path.as_uri())
    answer = await editor.request("kruk/chat", said("Look at @a.py and @b.py", workDoneToken="t"))
    assert answer.note.startswith("Seen: a.py lines 1-")
    assert "of 2000 lines left out: no room" in answer.note and "`@b.py`: there is no" in answer.note
    assert streamed(editor, "t")[1] == f"{answer.note}\n\nHello."
    focus = {"uri": URI, "range": {"start": {"line": 0, "character": 0}, "end": {"line": 1, "character": 0}}}
    editor.open("def add(a, b):\n    return a + b\n")
    answer = await editor.request("kruk/chat", said("What is @selection?", focus=focus))
    assert answer.seen[0].title.endswith("sample.py") and answer.seen[0].lines == [1, 1]


async def test_a_conversation_never_becomes_too_long(start):
    editor = await start({"says": "Hello."})
    texts = ["Hi " * 200, "Hello."] * 40
    answer = await editor.request("kruk/chat", said(*texts, "And now?", workDoneToken="t"))
    assert answer.text == "Hello." and answer.droppedTurns > 0
    assert streamed(editor, "t")[1].startswith(f"The {answer.droppedTurns} oldest turns no longer fit")


@pytest.mark.parametrize(
    ("params", "words"),
    [
        (said(), "no question"),
        (said("Hi", "Hello"), "no question"),
        (said("  "), "no question"),
        ({"messages": [{"role": "robot", "content": "x"}, {"role": "user", "content": "x"}]}, "`robot` is no role"),
    ],
)
async def test_what_cannot_be_answered_is_said(start, params, words):
    editor = await start()
    with pytest.raises(JsonRpcException, match=words):
        await editor.request("kruk/chat", params)


async def test_a_completion_cuts_in_on_an_answer(start):
    editor = await start({"says": WORDS, "knows": ["x = 1\n"]})
    await editor.ready()
    editor.open("x = ")
    await editor.request("fake/close")
    chat = asyncio.ensure_future(editor.request("kruk/chat", said("Hi")))
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
    future = editor.client.protocol.send_request("kruk/chat", said("Hi"), msg_id="c")
    while not await editor.request("fake/waiting"):
        await asyncio.sleep(0.01)
    editor.client.cancel_request(types.CancelParams(id="c"))
    with pytest.raises(JsonRpcException, match="cancelled"):
        await asyncio.wait_for(asyncio.wrap_future(future), 10)


async def test_the_tokens_of_a_text_are_counted(start):
    editor = await start()
    assert (await editor.request("kruk/countTokens", {"text": "zażółć"})).tokens == len("zażółć".encode())


async def test_a_model_of_its_own_for_chat_and_actions(start):
    script = {"isBase": True, "knows": ["a + b"], "chatSays": "From the other model."}
    editor = await start(script, options={"chatModel": "chat"})
    editor.open("def add(a, b):\n    return a + b\n\n\ndef sum(a, b):\n    return \n")
    answer = await editor.request("kruk/chat", said("Hi"))
    assert answer.text == "From the other model."
    params = types.ExecuteCommandParams("kruk.explain", [{"uri": URI}])
    assert (await editor.request("workspace/executeCommand", params))["text"] == "From the other model."
    await editor.until_state("ready")
