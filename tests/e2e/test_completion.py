"""Inline completion through the protocol, with the fake model."""

import asyncio

import pytest
from lsprotocol import types
from pygls.exceptions import JsonRpcException

from tests.e2e.conftest import URI, texts

ADD = "def add(a, b):\n    return a + b\n\n\nprint(add(1, 2))\n"
HOLE = "def add(a, b):\n    ├\n\n\nprint(add(1, 2))\n"


async def test_a_suggestion_has_text_range_and_command(start):
    editor = await start({"knows": [ADD]})
    editor.open(HOLE.replace("├", ""))
    item = (await editor.ask(1, 4)).items[0]
    assert item.insert_text == "return a + b"
    assert item.range == types.Range(types.Position(1, 4), types.Position(1, 4))
    assert item.command.command == "kruk.accepted"


@pytest.mark.parametrize(
    ("encoding", "character"),
    [("utf-8", 18), ("utf-16", 14), ("utf-32", 12)],
)
async def test_positions_in_every_encoding(start, encoding, character):
    capabilities = types.ClientCapabilities(
        general=types.GeneralClientCapabilities(position_encodings=[encoding]),
        text_document=types.TextDocumentClientCapabilities(
            inline_completion=types.InlineCompletionClientCapabilities()
        ),
    )
    editor = await start({"knows": ['note = "𝄞𝄞" + name\nprint(note)\n']}, capabilities=capabilities)
    assert editor.result.capabilities.position_encoding == encoding
    editor.open('note = "𝄞𝄞" \nprint(note)\n')
    item = (await editor.ask(0, character)).items[0]
    assert item.insert_text == "+ name"
    assert item.range.start.character == character


async def test_crlf_in_and_out(start):
    editor = await start({"knows": ["def f():\n    a = 1\n    return a\n"]})
    assert await editor.suggest("def f():\r\n    ├\r\n") == "a = 1\r\n    return a"


async def test_a_statement_is_suggested_whole_and_a_line_at_its_end(start):
    text = "a = 1\nb = make(\n    a,\n)\nprint(b)\n"
    editor = await start({"knows": [text]})
    assert await editor.suggest("a = 1\n├\nprint(b)\n") == "b = make(\n    a,\n)"
    assert await editor.suggest("a = 1\nb = make(\n    ├\n)\nprint(b)\n") == "a,"
    assert room(await editor.request("kruk/lastCompletion"), "trigger").shape == "statement"


async def test_a_statement_without_an_end_is_not_shown(start):
    text = "a = 1\nb = [\n" + "    a,\n    a + 1,\n" * 20
    editor = await start({"knows": [text]})
    assert await editor.suggest("a = 1\n├\n") is None
    assert await editor.reason() == "is not finished"


async def test_typing_along_asks_nothing_of_the_model(start):
    editor = await start({"knows": [ADD]})
    assert await editor.suggest(HOLE) == "return a + b"
    editor.type(types.Position(1, 4), "ret")
    assert texts(await editor.ask(1, 7)) == "urn a + b"
    trace = await editor.request("kruk/lastCompletion")
    assert [room.room for room in trace.rooms] == ["door", "trigger", "cache"]


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
async def test_typing_along_what_is_not_shown_asks_nothing_of_the_model_either(start, newline):
    text = "def f(a):\n    a.go()\n    a.go()\n    a.stop()\n".replace("\n", newline)
    editor = await start({"knows": [text.replace(newline, "\n")]})
    hole = text.replace(f"    a.go(){newline}", "    ├" + newline, 1)
    assert await editor.suggest(hole) is None
    assert await editor.reason() == "repeats the text below"
    editor.type(types.Position(1, 4), "a.")
    assert texts(await editor.ask(1, 6)) is None
    trace = await editor.request("kruk/lastCompletion")
    assert trace.reason == "repeats the text below"
    assert [room.room for room in trace.rooms] == ["door", "trigger", "cache", "finish"]
    editor.type(types.Position(1, 6), "st")  # something else
    await editor.ask(1, 8)
    assert "model" in [room.room for room in (await editor.request("kruk/lastCompletion")).rooms]


async def test_typing_something_else_evaluates_only_what_is_new(start):
    editor = await start({"knows": [ADD, ADD.replace("return a", "total = a")]})
    await editor.suggest(HOLE)
    editor.type(types.Position(1, 4), "tot")
    assert texts(await editor.ask(1, 7)) == "al = a + b"
    rooms = {room.room: room for room in (await editor.request("kruk/lastCompletion")).rooms}
    assert rooms["context"].anchorKept
    assert rooms["model"].evaluatedTokens <= 3


async def test_a_newer_request_supersedes_with_null(start):
    editor = await start({"knows": [ADD]})
    await editor.ready()
    editor.open(HOLE.replace("├", ""))
    await editor.request("fake/close")
    old = asyncio.ensure_future(editor.ask(1, 4))
    while not await editor.request("fake/waiting"):
        await asyncio.sleep(0.01)
    editor.type(types.Position(1, 4), "r")
    new = asyncio.ensure_future(editor.ask(1, 5))
    assert await old is None
    await editor.request("fake/open")
    assert texts(await new) == "eturn a + b"


async def test_a_request_joins_the_one_under_way_when_its_answer_still_fits(start):
    editor = await start({"knows": [ADD]})
    await editor.ready()
    editor.open(HOLE.replace("├", ""))
    await editor.request("fake/close")
    old = asyncio.ensure_future(editor.ask(1, 4))
    n_before = await editor.request("fake/passed")
    await editor.request("fake/let", {"n": 8})  # the prompt, the indentation, and some of "return a + b"
    while await editor.request("fake/passed") < n_before + 8:
        await asyncio.sleep(0.01)
    editor.type(types.Position(1, 4), "re")
    new = asyncio.ensure_future(editor.ask(1, 6))
    assert await old is None
    await editor.request("fake/open")
    assert texts(await new) == "turn a + b"
    rooms = {room.room: room for room in (await editor.request("kruk/lastCompletion")).rooms}
    assert rooms["joined"].said >= 3
    assert rooms["cache"].hit


async def test_requests_in_two_documents_are_both_answered(start):
    editor = await start({"knows": [ADD]})
    for uri in (URI, "file:///nowhere/other.py"):
        editor.open(HOLE.replace("├", ""), uri)
    answers = await asyncio.gather(editor.ask(1, 4), editor.ask(1, 4, uri="file:///nowhere/other.py"))
    assert [texts(answer) for answer in answers] == ["return a + b"] * 2


async def test_cancel_is_answered_as_cancelled_and_frees_the_model(start):
    editor = await start({"knows": [ADD]})
    await editor.ready()
    editor.open(HOLE.replace("├", ""))
    await editor.request("fake/close")
    context = types.InlineCompletionContext(types.InlineCompletionTriggerKind.Invoked)
    params = types.InlineCompletionParams(context, types.TextDocumentIdentifier(URI), types.Position(1, 4))
    future = editor.client.protocol.send_request("textDocument/inlineCompletion", params, msg_id="one")
    while not await editor.request("fake/waiting"):
        await asyncio.sleep(0.01)
    editor.client.cancel_request(types.CancelParams(id="one"))
    with pytest.raises(JsonRpcException, match="cancelled"):
        await asyncio.wait_for(asyncio.wrap_future(future), 10)
    assert "cancelled" in await editor.reason()
    await editor.request("fake/open")
    assert texts(await editor.ask(1, 4)) == "return a + b"


async def test_a_file_that_changes_while_the_model_works(start):
    editor = await start({"knows": [ADD]})
    await editor.ready()
    editor.open(HOLE.replace("├", ""))
    await editor.request("fake/close")
    answer = asyncio.ensure_future(editor.ask(1, 4))
    while not await editor.request("fake/waiting"):
        await asyncio.sleep(0.01)
    editor.type(types.Position(1, 4), "ret")
    await editor.request("fake/open")
    assert await answer is None
    assert "changed" in await editor.reason()
    assert texts(await editor.ask(1, 7)) == "urn a + b"  # from the cache: the work was not lost


async def test_requests_while_the_model_loads_wait_for_it(start):
    editor = await start({"knows": [ADD], "loadSeconds": 1})
    assert await editor.suggest(HOLE) == "return a + b"
    states = [params.state for name, params in editor.notes if name == "kruk/didChangeStatus"]
    assert states[0] == "loading"
    percents = [params.percent for name, params in editor.notes if params and params.state == "loading"]
    assert percents == sorted(percents)
    assert percents[-1] == 100


async def test_a_word_selected_in_the_popup_is_continued(start):
    editor = await start({"knows": ["value = other.name + 1\n"]})
    editor.open("value = other.na\n")
    selected = types.Range(types.Position(0, 14), types.Position(0, 16))
    context = types.InlineCompletionContext(
        types.InlineCompletionTriggerKind.Automatic, types.SelectedCompletionInfo(selected, "name")
    )
    params = types.InlineCompletionParams(context, types.TextDocumentIdentifier(URI), types.Position(0, 16))
    item = (await editor.client.text_document_inline_completion_async(params)).items[0]
    assert (item.insert_text, item.range) == ("name + 1", selected)


@pytest.mark.parametrize(
    ("uri", "language", "text", "options", "reason"),
    [
        ("file:///w/.env", "plaintext", "KEY=\n", {}, "excluded by `**/.env`"),
        ("file:///c%3A/w/server.pem", "plaintext", "-\n", {}, "excluded by `**/*.pem`"),
        (
            "file:///nowhere/private/a.py",
            "python",
            "x = \n",
            {"completion": {"excludeGlobs": ["private/**"]}},
            "private",
        ),
        (URI, "python", "x = \n", {"completion": {"disabledLanguages": ["python"]}}, "off for python"),
        (URI, "python", "x = \n", {"completion": {"enabled": False}}, "switched off"),
        (URI, "python", "\0\1\2", {}, "binary"),
    ],
)
async def test_files_in_which_nothing_is_suggested(start, uri, language, text, options, reason):
    editor = await start({"knows": ["KEY=secret", "x = 1\n", "-----"]}, options=options)
    await editor.until("kruk/didChangeStatus", lambda status: status.state in ("ready", "off"))
    editor.open(text, uri, language)
    assert (await editor.ask(0, 4, uri=uri)).items == ()  # hides a suggestion that may still be shown
    assert reason in await editor.reason()


async def test_globs_are_relative_to_folders_that_come_and_go(start):
    editor = await start({"knows": ["x = 1\n"]}, options={"completion": {"excludeGlobs": ["private/*.py"]}})
    uri = "file:///other/private/a.py"
    editor.open("x = ", uri)
    assert texts(await editor.ask(0, 4, uri=uri)) == "1"
    folder = types.WorkspaceFolder("file:///other", "other")
    event = types.WorkspaceFoldersChangeEvent(added=[folder], removed=[])
    editor.client.workspace_did_change_workspace_folders(types.DidChangeWorkspaceFoldersParams(event))
    assert texts(await editor.ask(0, 4, uri=uri)) is None
    assert "private" in await editor.reason()


async def test_automatic_keeps_still_in_the_middle_of_a_word_and_invoked_does_not(start):
    editor = await start({"knows": ["number = 1\nprint(number)\n"]})
    await editor.ready()
    editor.open("number = 1\nprint(nmber)\n")
    assert (await editor.ask(1, 7, invoked=False)).items == ()
    assert await editor.reason()
    await editor.ask(1, 7, invoked=True)
    assert "model" in [room.room for room in (await editor.request("kruk/lastCompletion")).rooms]


async def test_why_while_the_model_still_works(start):
    editor = await start({"knows": ["x = 1\n"]})
    await editor.request("fake/close")
    editor.open("x = ")
    answer = asyncio.ensure_future(editor.ask(0, 4))
    while not (await editor.request("fake/waiting")):
        await asyncio.sleep(0.02)
    assert await editor.reason() == "it is still being worked on"
    await editor.request("fake/open")
    assert texts(await answer) == "1"
    assert await editor.reason() is None


async def test_a_position_past_the_end_is_moved_to_the_end(start):
    editor = await start({"knows": ["x = 1\ny = 2\n"]})
    editor.open("x = 1\ny = ")
    assert texts(await editor.ask(99, 99)) == "2"


async def test_an_unknown_document_gives_null(start):
    editor = await start()
    assert await editor.ask(0, 0, uri="file:///nowhere") is None


async def test_a_5_mb_line(start):
    editor = await start({"knows": []})
    text = "x = [" + "1, " * 1_700_000
    editor.open(text)
    assert (await editor.ask(0, len(text), invoked=False)).items == ()
    trace = await editor.request("kruk/lastCompletion")
    assert trace.reason == "the model had nothing to add here"
    assert trace.totalMs < 5000


async def test_the_fallback_for_clients_without_inline_completion(start):
    editor = await start({"knows": [ADD]}, capabilities=types.ClientCapabilities())
    assert editor.result.capabilities.completion_provider
    editor.open("def add(a, b):\n    ret\n\n\nprint(add(1, 2))\n")
    await editor.ready()
    params = types.CompletionParams(types.TextDocumentIdentifier(URI), types.Position(1, 7))
    answer = await editor.client.text_document_completion_async(params)
    assert answer.is_incomplete
    item = answer.items[0]
    assert item.preselect  # Helix puts it first, and declares nothing
    assert item.text_edit.new_text == "return a + b"
    assert item.text_edit.range == types.Range(types.Position(1, 4), types.Position(1, 7))
    assert item.filter_text == item.insert_text == "return a + b"
    assert item.documentation == "return a + b"  # the client has not said that it reads Markdown


async def test_an_ordinary_item_is_whole_for_a_client_that_knows_no_text_edits(start):
    # JupyterLab inserts `insertText`, or the label; and with Tab what all items begin with, then filters again.
    block = "for name in names:\n        print(name)\n        total += len(name)"
    editor = await start({"knows": [f"def f(names):\n    {block}\n"]})
    await editor.ready()
    for newline in ("\n", "\r\n"):
        uri = f"file:///{len(newline)}.py"
        editor.open(f"def f(names):{newline}    fo", uri=uri)
        params = types.CompletionParams(types.TextDocumentIdentifier(uri), types.Position(1, 6))
        item = (await editor.client.text_document_completion_async(params)).items[0]
        assert item.label == item.filter_text == "for name in names:"
        assert item.insert_text == block.replace("\n", newline)
        assert item.kind == types.CompletionItemKind.Text  # Helix expands what is called a snippet


async def test_the_label_of_an_ordinary_item_keeps_its_spaces(start):
    editor = await start({"knows": [ADD]})
    editor.open("def add(a, b):\n    return a")
    await editor.ready()
    params = types.CompletionParams(types.TextDocumentIdentifier(URI), types.Position(1, 12))
    answer = await editor.client.text_document_completion_async(params)
    assert answer.items[0].label == "a + b"


async def test_a_client_with_inline_completion_is_offered_no_ordinary_one(start):
    editor = await start()
    assert editor.result.capabilities.completion_provider is None
    assert editor.result.capabilities.inline_completion_provider is not None


def lines(n):
    return "".join(f"value_{i} = compute({i})  # the value of number {i}\n" for i in range(n))


async def test_a_large_file_is_answered_from_the_near_window_and_then_from_the_full_one(start):
    whole = lines(120) + ADD
    editor = await start({"knows": [whole]})
    await editor.ready()
    assert await editor.suggest(lines(120) + HOLE) == "return a + b"
    prompt = room(await editor.request("kruk/lastCompletion"), "prompt")
    assert prompt.window == "near"
    assert prompt.promptTokens < 1000
    editor.type(types.Position(121, 4), "x")
    for _ in range(500):  # the full prompt is evaluated when nobody waits
        await editor.ask(121, 5)
        prompt = room(await editor.request("kruk/lastCompletion"), "prompt")
        if prompt.window == "full":
            break
    assert prompt.promptTokens > 1500


async def test_what_follows_an_accepted_suggestion_is_there_before_it_is_asked_for(start):
    text = "total = 0\nfor x in xs:\n    total += x\nprint(total)\nprint(xs)\n\nend = 1\n"
    editor = await start({"knows": [text]})
    editor.open(text.replace("print(total)\nprint(xs)\n", ""))
    shown = texts(await editor.ask(3, 0))
    assert shown == "print(total)"
    editor.type(types.Position(3, 0), shown)
    for _ in range(500):
        follows = texts(await editor.ask(3, len(shown)))
        trace = await editor.request("kruk/lastCompletion")
        if room(trace, "cache").hit:
            break
        await asyncio.sleep(0.01)
    assert room(trace, "cache").hit
    assert follows == "\nprint(xs)"


def room(trace, name):
    return next(each for each in trace.rooms if each.room == name)


async def test_moving_the_cursor_makes_the_place_warm(start):
    lines = [f"value_{i} = {i}\n" for i in range(300)]
    editor = await start({"knows": ["".join(lines)]})
    await editor.ready()
    editor.open("".join(lines[:150]) + "value_150\n" + "".join(lines[151:]))
    n_before = await editor.request("fake/passed")
    moved = {"textDocument": {"uri": URI}, "position": {"line": 150, "character": 9}}
    editor.client.protocol.notify("kruk/didMoveCursor", moved)
    while await editor.request("fake/passed") < n_before + 2:  # the near prompt, the full one
        await asyncio.sleep(0.01)
    assert texts(await editor.ask(150, 9)) == " = 150"
    rooms = {room.room: room for room in (await editor.request("kruk/lastCompletion")).rooms}
    assert rooms["model"].evaluatedTokens <= 1


async def test_what_the_model_is_not_sure_of_is_kept_back_unless_asked_for_by_hand(start):
    wanted = ADD.replace("return a + b", "raise ValueError")
    editor = await start({"knows": [ADD], "wavers": wanted})
    await editor.ready()
    editor.open(HOLE.replace("├", ""))
    assert texts(await editor.ask(1, 4, invoked=False)) == "return a + b"
    editor.client.workspace_did_change_configuration(
        types.DidChangeConfigurationParams({"kruk": {"completion": {"minConfidence": 70}}})
    )
    assert (await editor.ask(1, 4, invoked=False)).items == ()
    assert "not sure enough" in await editor.reason()
    assert texts(await editor.ask(1, 4)) == "return a + b"
    editor.type(types.Position(1, 4), "ret")  # which settles it
    assert texts(await editor.ask(1, 7, invoked=False)) == "urn a + b"


async def test_who_asks_by_hand_for_another_suggestion_gets_the_second_best_too(start):
    second = ADD.replace("return a + b", "raise ValueError")
    editor = await start({"knows": [ADD, second], "wavers": second})
    await editor.ready()
    editor.open(HOLE.replace("├", ""))
    assert len((await editor.ask(1, 4, invoked=False)).items) == 1
    for _ in range(500):  # it is made in idle time
        items = (await editor.ask(1, 4)).items
        if len(items) > 1:
            break
        await asyncio.sleep(0.02)
    assert [item.insert_text for item in items] == ["return a + b", "raise ValueError"]


async def test_what_will_not_be_shown_is_not_waited_for_and_serves_the_next_key_stroke(start):
    editor = await start({"knows": [ADD], "wavers": ADD.replace("return a + b", "raise ValueError")})
    await editor.ready()
    editor.client.workspace_did_change_configuration(
        types.DidChangeConfigurationParams({"kruk": {"completion": {"minConfidence": 70}}})
    )
    editor.open(HOLE.replace("├", ""))
    await editor.request("fake/close")
    asked = asyncio.ensure_future(editor.ask(1, 4, invoked=False))
    n_before = await editor.request("fake/passed")
    await editor.request("fake/let", {"n": 8})  # the prompt, the indentation, and "ret": it might have been "rai"
    while await editor.request("fake/passed") < n_before + 8:
        await asyncio.sleep(0.01)
    assert (await asked).items == ()
    assert "not sure enough" in await editor.reason()
    editor.type(types.Position(1, 4), "re")
    joined = asyncio.ensure_future(editor.ask(1, 6, invoked=False))
    await asyncio.sleep(0)  # it is sent
    await editor.request("fake/open")
    assert texts(await joined) == "turn a + b"
    assert room(await editor.request("kruk/lastCompletion"), "joined").said >= 2
