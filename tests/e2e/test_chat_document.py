"""Chat in a document of an editor that knows nothing of it: the answer streams in below the question, by edits."""

import asyncio
from pathlib import Path

import pytest
from lsprotocol import types
from pygls.exceptions import JsonRpcException

from lsp_server.chat.markdown import harmless
from tests.e2e.test_code_actions import Desk, able

URI = "file:///work/chat.md"
ASKED = "# Chat\n\n## You\n\nWhat is 😀 here?\n"
WORDS = "".join(f"{i}. It adds <b>{i}</b> numbers.\n" for i in range(1, 30))
ANSWERED = WORDS.replace("<", "\\<").strip()


class Page(Desk):
    """Tells the server what its edits come to, as editors do. `keep`: what the editor makes of each text."""

    keep = staticmethod(lambda text: text)
    is_slow = False

    def change(self, uri, edits):
        super().change(uri, edits)
        self.texts[uri] = self.keep(self.texts[uri])
        if self.is_slow:
            asyncio.get_running_loop().call_later(0.2, self.tell, uri)
        else:
            self.tell(uri)

    def apply(self, params):
        for change in params.edit.document_changes or []:
            if change.text_document.version != self.editor.version:
                return types.ApplyWorkspaceEditResult(applied=False)
        return super().apply(params)

    def tell(self, uri):
        self.editor.version += 1
        document = types.VersionedTextDocumentIdentifier(self.editor.version, uri)
        change = types.TextDocumentContentChangeWholeDocument(self.texts[uri])
        self.editor.client.text_document_did_change(types.DidChangeTextDocumentParams(document, [change]))

    def write(self, text, uri=URI):
        """What the user writes at the end."""
        self.texts[uri] += text
        self.tell(uri)

    def send(self, **kwargs):
        return self.command("kruk.chat", {"uri": URI}, **kwargs)

    async def until(self, wanted):
        for _ in range(500):
            if wanted(self.texts[URI]):
                return
            await asyncio.sleep(0.02)
        raise AssertionError(f"it never was so: {self.texts[URI]}")


@pytest.fixture
def page(start, tmp_path):
    async def make(script=None, text=ASKED, root="file:///work", **kwargs):
        editor = await start(script or {"says": WORDS}, capabilities=able(**kwargs), root=root)
        page = Page(editor, tmp_path)
        page.open(text, URI, "markdown")
        return page

    return make


async def held(page):
    """Begin to answer, and stop the model in the middle of it."""
    await page.editor.ready()
    await page.editor.request("fake/close")
    task = asyncio.ensure_future(page.send())
    while not await page.editor.request("fake/waiting"):
        await asyncio.sleep(0.01)
    await page.editor.request("fake/let", {"n": 30})
    await page.until(lambda text: "1. It adds" in text)
    return task


@pytest.mark.parametrize("has_changes", [True, False])
async def test_the_answer_streams_in_below_the_question(page, has_changes):
    page = await page(document_changes=has_changes)
    assert [action.title for action in await page.actions((4, 0), uri=URI)] == ["Kruk: Send"]
    assert await page.actions((4, 0), uri=URI, only=["source.fixAll"]) == []  # as on saving
    task = await held(page)
    for n in (5, 10, 15):
        await page.editor.request("fake/let", {"n": 150})
        await page.until(lambda text, n=n: f"{n}. It adds" in text)
        assert not task.done()
    await page.editor.request("fake/open")
    result = await task
    assert page.texts[URI] == f"{ASKED}\n## Kruk\n\n{ANSWERED}\n\n## You\n\n"
    assert result["text"] == harmless(WORDS).strip() and result["endedBy"] == "model"
    edits = [edit for it in page.edits for edit in (it.document_changes[0].edits if has_changes else it.changes[URI])]
    assert len(edits) >= 5
    assert all(edit.range.start == edit.range.end for edit in edits)


async def test_the_next_question_is_answered_too(page):
    page = await page()
    await page.send()
    page.write("And <this>?\n")
    result = await page.send()
    assert page.texts[URI].count("## Kruk\n\n1. It adds") == 2
    assert result["reusedTokens"] > len(WORDS)


async def test_other_line_ends_stay_as_they_are(page):
    page = await page(text=ASKED.replace("\n", "\r\n"))
    await page.send()
    text = page.texts[URI]
    assert text == f"{ASKED}\n## Kruk\n\n{ANSWERED}\n\n## You\n\n".replace("\n", "\r\n")


async def test_an_editor_that_ends_every_text_with_a_line_end_and_is_slow(page):
    page = await page({"says": "one two\n\nthree"})
    page.keep, page.is_slow = (lambda text: text if text.endswith("\n") else f"{text}\n"), True
    await page.send()
    assert page.texts[URI] == f"{ASKED}\n## Kruk\n\none two\n\nthree\n\n## You\n\n"


async def test_cancelling_leaves_nothing_behind(page):
    page = await page()
    await page.editor.ready()
    await page.editor.request("fake/close")
    params = types.ExecuteCommandParams("kruk.chat", [{"uri": URI}])
    future = page.editor.client.protocol.send_request("workspace/executeCommand", params, msg_id="c")
    while not await page.editor.request("fake/waiting"):
        await asyncio.sleep(0.01)
    await page.editor.request("fake/let", {"n": 30})
    await page.until(lambda text: "1. It adds" in text)
    page.editor.client.cancel_request(types.CancelParams(id="c"))
    with pytest.raises(JsonRpcException, match="cancelled"):
        await asyncio.wait_for(asyncio.wrap_future(future), 10)
    await page.until(lambda text: text == ASKED)
    await page.editor.request("fake/open")
    await page.send()
    assert page.texts[URI].endswith("## You\n\n")


async def test_cancelling_by_the_progress_is_no_error(page):
    page = await page(progress=True)
    task = await held(page)
    token = next(params.token for name, params in page.editor.notes if name == "$/progress")
    page.editor.client.window_work_done_progress_cancel(types.WorkDoneProgressCancelParams(token))
    assert await task is None
    await page.until(lambda text: text == ASKED)


async def test_an_end_that_somebody_edits_is_left_to_them(page):
    page = await page()
    task = await held(page)
    page.write("No, stop.")
    await page.editor.request("fake/open")
    assert await task is None
    assert "1. It adds" in page.texts[URI] and page.texts[URI].endswith("No, stop.")
    await page.editor.until("window/showMessage", lambda params: "end of its document was edited" in params.message)


async def test_writing_above_the_answer_does_not_disturb_it(page):
    page = await page()
    task = await held(page)
    page.texts[URI] = page.texts[URI].replace("# Chat", "# Chat\n\nabout numbers")
    page.tell(URI)
    await page.editor.request("fake/open")
    assert await task
    assert page.texts[URI].startswith("# Chat\n\nabout numbers") and ANSWERED in page.texts[URI]


async def test_a_chat_that_is_closed_ends(page):
    page = await page()
    task = await held(page)
    page.editor.client.text_document_did_close(types.DidCloseTextDocumentParams(types.TextDocumentIdentifier(URI)))
    await page.editor.request("fake/open")
    assert await task is None
    await page.editor.until("window/showMessage", lambda params: "was closed" in params.message)


async def test_only_one_answer_at_a_time(page):
    page = await page()
    task = await held(page)
    assert await page.send() is None
    await page.editor.until("window/showMessage", lambda params: "is being answered" in params.message)
    await page.editor.request("fake/open")
    assert await task


@pytest.mark.parametrize("text", ["## You\n\n", "# Chat\n\n## You\n\nHi\n\n## Kruk\n\nHello\n\n## You\n\n  \n"])
async def test_without_a_question_it_says_where_to_write_one(page, text):
    page = await page(text=text)
    assert await page.send() is None
    await page.editor.until("window/showMessage", lambda params: "no question yet" in params.message)
    assert page.texts[URI] == text


async def test_an_editor_that_refuses_edits_hears_about_it(page):
    page = await page()
    page.refuses_edits = True
    await page.send()
    assert page.texts[URI] == ASKED
    await page.editor.until("window/showMessage", lambda params: "did not apply" in params.message)


async def test_the_answer_says_what_the_model_saw(page, tmp_path):
    (tmp_path / "a.py").write_text("one = 1\ntwo = 2\n")
    (tmp_path / ".env").write_text("KEY=secret\n")
    text = "## You\n\nCompare @a.py:1-1 and @.env and @none.\n"
    page = await page({"says": "Well."}, text, tmp_path.as_uri())
    result = await page.send()
    note = page.texts[URI].split("## Kruk\n\n")[1].split("\n")[0]
    assert note.startswith("> Seen: a.py lines 1-1 (7 tokens). Not shown: `@.env`: `.env` is never shown")
    assert "`@none`: there is no file and no definition of that name." in note
    assert result["seen"][0]["title"] == "a.py" and len(result["notShown"]) == 2
    page.write("And?\n")
    await page.send()
    assert page.texts[URI].count("> Seen:") == 1


async def test_what_was_selected_in_a_file_can_be_mentioned(page):
    page = await page({"says": "Well."}, "## You\n\nExplain @selection and @diagnostics\n")
    page.open("one = 1\ntwo = 2\n", "file:///work/a.py")
    problem = types.Diagnostic(types.Range(types.Position(1, 0), types.Position(1, 3)), "unused", source="lint")
    await page.actions((1, 0), (2, 0), diagnostics=[problem], uri="file:///work/a.py")
    page.editor.version = 1
    result = await page.send()
    assert [(it["title"], it["lines"]) for it in result["seen"]] == [("a.py", [2, 2]), ("diagnostics of a.py", None)]


@pytest.mark.parametrize("shows", [True, False])
async def test_a_new_chat(page, shows):
    page = await page(show=shows)
    place = {
        "uri": "file:///work/src/a b.py",
        "range": {"start": {"line": 2, "character": 0}, "end": {"line": 4, "character": 1}},
    }
    result = await page.command("kruk.newChat", place)
    text = Path(result["path"]).read_text(encoding="utf-8")
    assert text.endswith('## You\n\n@file:"src/a b.py":3-5 ')
    assert page.shown == [result["uri"]] * shows and result["isShown"] == shows
    assert shows or any(result["path"] in message for message in page.messages())


async def test_lines_up_to_the_beginning_of_the_next_are_mentioned_without_it(page):
    page = await page()
    whole = {"start": {"line": 2, "character": 0}, "end": {"line": 4, "character": 0}}
    result = await page.command("kruk.newChat", {"uri": "file:///work/a.py", "range": whole})
    assert Path(result["path"]).read_text(encoding="utf-8").endswith("@file:a.py:3-4 ")
