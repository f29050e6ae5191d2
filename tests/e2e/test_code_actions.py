"""Code actions over stdio: listed, run, cancelled; edits and explanations in an editor that applies them."""

import asyncio
from pathlib import Path

import pytest
from lsprotocol import types
from pygls.exceptions import JsonRpcException

from lsp_server.chat.markdown import harmless
from lsp_server.text import Document, Edit
from tests.e2e.conftest import URI

PY = "import os\n\n\ndef add(a, b):\n    return a - b\n\n\nprint(add(1, 2))\n"
FIXED = "```python\ndef add(a, b):\n    return a + b\n```\n"
WORDS = "It subtracts **b** from a.\n\n<img src=x> ![p](http://x/y.png) [run](command:x)\n" * 3


class Desk:
    """An editor that does what it is asked: it applies edits to its texts, and shows documents."""

    def __init__(self, editor, folder):
        self.editor, self.folder = editor, folder
        self.texts, self.edits, self.shown, self.created = {}, [], [], []
        self.refuses_edits = False
        client = editor.client
        client.feature("workspace/applyEdit")(lambda ls, params: self.apply(params))
        converter = client.protocol._converter  # takes any action that has a command for a bare command
        converter.register_structure_hook(
            types.Command | types.CodeAction,
            lambda it, _: converter.structure(
                it, types.Command if isinstance(it.get("command"), str) else types.CodeAction
            ),
        )
        client.protocol.fm.features.pop("window/showDocument", None)
        client.feature("window/showDocument")(lambda ls, params: self.show(params))

    def open(self, text, uri=URI, language="python"):
        self.texts[uri] = text
        self.editor.open(text, uri, language)

    def apply(self, params: types.ApplyWorkspaceEditParams):
        self.edits.append(params.edit)
        if self.refuses_edits:
            return types.ApplyWorkspaceEditResult(applied=False, failure_reason="not today")
        for change in params.edit.document_changes or []:
            if isinstance(change, types.CreateFile):
                self.created.append(change.uri)
            else:
                self.change(change.text_document.uri, change.edits)
        for uri, edits in (params.edit.changes or {}).items():
            self.change(uri, edits)
        return types.ApplyWorkspaceEditResult(applied=True)

    def change(self, uri, edits):
        document = Document(uri, "", 0, self.texts.get(uri) or _on_disk(uri))
        places = [
            Edit(
                (it.range.start.line, it.range.start.character),
                (it.range.end.line, it.range.end.character),
                it.new_text,
            )
            for it in edits
        ]
        places.sort(key=lambda edit: edit.start, reverse=True)
        self.texts[uri] = document.apply(places, 0, "utf-16").text

    def show(self, params: types.ShowDocumentParams):
        self.shown.append(params.uri)
        return types.ShowDocumentResult(success=True)

    async def actions(self, start, end=None, *, diagnostics=(), only=None, uri=URI):
        place = types.Range(types.Position(*start), types.Position(*(end or start)))
        context = types.CodeActionContext([*diagnostics], only=only)
        params = types.CodeActionParams(types.TextDocumentIdentifier(uri), place, context)
        return await self.editor.client.text_document_code_action_async(params) or []

    async def run(self, title, *place, **kwargs):
        found = {action.title: action for action in await self.actions(*place, **kwargs)}
        command = found[title].command
        return await self.command(command.command, command.arguments[0])

    async def command(self, name, argument, **kwargs):
        params = types.ExecuteCommandParams(name, [argument], **kwargs)
        return await asyncio.wait_for(self.editor.client.workspace_execute_command_async(params), 60)

    def messages(self):
        return [params.message for name, params in self.editor.notes if name == "window/showMessage"]


def _on_disk(uri):
    path = Path(uri.removeprefix("file://"))
    return path.read_text() if path.is_file() else ""


def able(**kwargs):
    """What a capable client can do, or less."""
    can = {"document_changes": True, "annotations": True, "show": True, "progress": False, "apply": True} | kwargs
    return types.ClientCapabilities(
        text_document=types.TextDocumentClientCapabilities(
            code_action=types.CodeActionClientCapabilities(
                code_action_literal_support=types.ClientCodeActionLiteralOptions(
                    types.ClientCodeActionKindOptions(["quickfix"])
                ),
                disabled_support=True,
                data_support=True,
                resolve_support=types.ClientCodeActionResolveOptions(["edit"]),
            )
        ),
        workspace=types.WorkspaceClientCapabilities(
            apply_edit=can["apply"],
            workspace_edit=types.WorkspaceEditClientCapabilities(
                document_changes=can["document_changes"],
                resource_operations=[types.ResourceOperationKind.Create],
                change_annotation_support=types.ChangeAnnotationsSupportOptions() if can["annotations"] else None,
            ),
        ),
        window=types.WindowClientCapabilities(
            show_document=types.ShowDocumentClientCapabilities(support=can["show"]),
            work_done_progress=can["progress"],
        ),
    )


@pytest.fixture
def desk(start, tmp_path):
    async def make(script=None, **kwargs):
        editor = await start(script, capabilities=able(**kwargs))
        await editor.ready()
        return Desk(editor, tmp_path)

    return make


def problem(line, start, end, message="wrong operator"):
    return types.Diagnostic(types.Range(types.Position(line, start), types.Position(line, end)), message, source="x")


async def test_what_is_offered(desk):
    it = await desk()
    it.open(PY)
    titles = {action.title for action in await it.actions((4, 8))}
    assert titles == {
        "Kruk: Explain",
        "Kruk: Document",
        "Kruk: Write tests",
        "Kruk: Simplify",
        "Kruk: Chat about this",
    }
    selected = {action.title for action in await it.actions((4, 4), (4, 16))}
    assert selected - titles == {"Kruk: Edit as its comment says"}
    word = {action.title for action in await it.actions((4, 11), (4, 12))}  # ALE sends the character at the cursor
    assert word == titles
    fix, *others = await it.actions((4, 8), diagnostics=[problem(4, 11, 16)])
    assert (fix.title, fix.kind) == ("Kruk: Fix", "quickfix.kruk.fix")
    assert [*fix.diagnostics] == [problem(4, 11, 16)]
    assert not any(action.title == "Kruk: Fix" for action in others)
    rewrites = await it.actions((4, 8), only=["refactor"])
    assert {action.title for action in rewrites} == {"Kruk: Document", "Kruk: Simplify"}


async def test_nothing_is_asked_of_the_model_to_list(desk):
    it = await desk()
    it.open(PY)
    await it.editor.request("fake/close")
    assert await it.actions((4, 8))
    assert await it.editor.request("fake/waiting") == 0


async def test_a_base_model_says_which_one_to_pull(desk):
    it = await desk({"isBase": True})
    it.open(PY)
    explain = next(action for action in await it.actions((4, 8)) if action.title == "Kruk: Explain")
    assert "kruk models pull qwen2.5-coder-1.5b-instruct" in explain.disabled.reason
    answer = await it.command("kruk.explain", {"uri": URI})
    assert not answer["applied"] and "base model" in answer["reason"]
    assert any("qwen2.5-coder-1.5b-instruct" in message for message in it.messages())


async def test_a_secret_file_is_left_alone(desk):
    it = await desk()
    uri = "file:///work/.env"
    it.open("KEY=1\n", uri)
    assert await it.actions((0, 0), uri=uri) == []
    assert "excluded" in (await it.command("kruk.explain", {"uri": uri}))["reason"]


async def test_fix_changes_the_line_and_nothing_else(desk):
    it = await desk({"says": FIXED})
    it.open(PY)
    answer = await it.run("Kruk: Fix", (4, 8), diagnostics=[problem(4, 11, 16)])
    assert answer["applied"]
    assert it.texts[URI] == PY.replace("a - b", "a + b")
    (edit,) = it.edits
    (change,) = edit.document_changes
    assert (change.text_document.version, len(change.edits)) == (1, 1)
    assert change.edits[0].range.start.line == change.edits[0].range.end.line == 4
    assert edit.change_annotations["kruk"].label == "Kruk: Fix"


@pytest.mark.parametrize("place", [((4, 4), (4, 5)), ((4, 4), (4, 10))], ids=["a character", "a word"])
async def test_a_word_stands_for_the_definition_around_it(desk, place):
    it = await desk({"says": FIXED})
    it.open(PY)
    assert (await it.run("Kruk: Simplify", *place))["applied"]
    assert it.texts[URI] == PY.replace("a - b", "a + b")


async def test_a_client_without_document_changes(desk):
    it = await desk({"says": FIXED}, document_changes=False)
    it.open(PY)
    await it.run("Kruk: Fix", (4, 8), diagnostics=[problem(4, 11, 16)])
    assert it.texts[URI] == PY.replace("a - b", "a + b")
    assert it.edits[0].document_changes is None


async def test_crlf_unicode_and_no_line_end_at_the_end(desk):
    text = "x = '𝄞'\r\n\r\nclass A:\r\n    def ü(self):  # 𝄞 𝄞\r\n        return '𝄞' - 1"
    says = "```python\ndef ü(self):  # 𝄞 𝄞\n    y = 2\n    return '𝄞' + 1\n```"
    it = await desk({"says": says})
    it.open(text)
    line = text.split("\r\n")[4]
    await it.run("Kruk: Fix", (4, 8), diagnostics=[problem(4, 15, len(line) + 1)])
    assert it.texts[URI] == text.replace("        return '𝄞' - 1", "        y = 2\r\n        return '𝄞' + 1")


async def test_what_does_not_parse_is_repaired(desk):
    it = await desk({"says": ["```python\ndef add(a, b:\n    return a + b\n```\n", FIXED]})
    it.open(PY)
    await it.run("Kruk: Fix", (4, 8), diagnostics=[problem(4, 11, 16)])
    assert it.texts[URI] == PY.replace("a - b", "a + b")


async def test_what_does_not_parse_twice_is_refused(desk):
    it = await desk({"says": "```python\ndef add(a, b:\n    return a + b\n```\n"})
    it.open(PY)
    answer = await it.run("Kruk: Fix", (4, 8), diagnostics=[problem(4, 11, 16)])
    assert not answer["applied"] and "does not parse" in answer["reason"]
    assert it.edits == [] and any("does not parse" in message for message in it.messages())


async def test_a_document_that_moved_on_is_not_touched(desk):
    it = await desk({"says": FIXED})
    it.open(PY)
    await it.editor.request("fake/close")
    running = asyncio.ensure_future(it.command("kruk.simplify", {"uri": URI, "range": _at(4, 8), "version": 1}))
    while not await it.editor.request("fake/waiting"):
        await asyncio.sleep(0.01)
    it.editor.type(types.Position(0, 0), "# new\n")
    await it.editor.request("fake/open")
    answer = await running
    assert not answer["applied"] and "changed meanwhile" in answer["reason"]
    assert it.edits == []
    late = await it.command("kruk.simplify", {"uri": URI, "range": _at(4, 8), "version": 1})
    assert "changed meanwhile" in late["reason"]


async def test_an_edit_that_the_editor_refuses_is_told(desk):
    it = await desk({"says": FIXED})
    it.open(PY)
    it.refuses_edits = True
    answer = await it.command("kruk.simplify", {"uri": URI, "range": _at(4, 8)})
    assert "not today" in answer["reason"]


async def test_an_edit_that_was_refused_is_there_at_once_when_the_action_is_run_again(desk):
    # Kate takes edits for two seconds after a command, which a model seldom keeps to.
    it = await desk({"says": FIXED})
    it.open(PY)
    it.refuses_edits = True
    asked = {"uri": URI, "range": _at(4, 8)}
    await it.command("kruk.simplify", asked)
    it.refuses_edits = False
    await it.editor.request("fake/close")  # whoever asks the model now waits for ever
    assert (await it.command("kruk.simplify", asked))["applied"]
    assert it.edits[0] == it.edits[1] and it.texts[URI] != PY


async def test_code_from_a_chat_goes_where_it_belongs(desk):
    it = await desk()
    it.open(PY)
    code = "def add(a, b):\n    return a + b\n\nadd(1, 2)"
    answer = await it.command("kruk.apply", {"uri": URI, "range": _at(7, 0), "code": code})
    assert answer == {"applied": True, "leftOut": 1}
    assert it.texts[URI] == PY.replace("a - b", "a + b")
    with pytest.raises(JsonRpcException, match="no code"):
        await it.command("kruk.apply", {"uri": URI, "range": _at(7, 0), "code": ""})


async def test_edit_takes_its_instruction_from_the_argument_or_the_comment(desk):
    it = await desk({"says": "```python\n# add them\ndef add(a, b):\n    return a + b\n```"})
    it.open(PY)
    nothing = await it.command("kruk.edit", {"uri": URI, "range": _at(4, 8)})
    assert "instruction" in nothing["reason"] and it.edits == []
    it.open(PY.replace("def add", "# add them\ndef add"), URI)
    await it.command("kruk.edit", {"uri": URI, "range": _span(3, 0, 6, 0)})
    assert "return a + b" in it.texts[URI]
    it2_text = it.texts[URI]
    assert it2_text.startswith("import os\n\n\n# add them\ndef add") and it2_text.endswith("print(add(1, 2))\n")


DOCUMENTED = [
    ("python", PY, '"""Subtract b from a."""\n    return', '\n    """Subtract b from a."""\n    r'),
    (
        "javascript",
        "function f(a) {\n  return a;\n}\n",
        "/**\n * Gives it.\n * @param a It.\n */\n",
        "/**\n * Gives it.\n * @param a It.\n */\nfunction f(a) {\n  return a;\n}\n",
    ),
    (
        "rust",
        "fn f(a: i32) -> i32 {\n    a\n}\n",
        "/// Gives.\n///\n/// # P\nfn f(",
        "/// Gives.\n///\n/// # P\nfn f(",
    ),
    ("go", "package p\n\nfunc F(a int) int {\n\treturn a\n}\n", "// F gives it.\nfunc", "// F gives it.\nfunc F"),
    (
        "java",
        "class A {\n    @Deprecated\n    int f() {\n        return 1;\n    }\n}\n",
        "/**\n * Gives 1.\n */",
        "class A {\n    /**\n     * Gives 1.\n     */\n    @Deprecated\n    int f",
    ),
    ("cpp", "int f() {\n  return 1;\n}\n", "/**\n * Gives 1.\n */", "/**\n * Gives 1.\n */\nint f()"),
]


@pytest.mark.parametrize(("language", "code", "says", "wanted"), DOCUMENTED)
async def test_document_leaves_the_code_as_it_is(desk, language, code, says, wanted):
    head = "def add(a, b):\n    " if language == "python" else ""
    it = await desk({"says": f"```{language}\n{head}{says}"})
    uri = f"file:///work/sample.{language}"
    it.open(code, uri, language)
    at = next(n for n, line in enumerate(code.split("\n")) if "return" in line or line == "    a")
    answer = await it.command("kruk.document", {"uri": uri, "range": _at(at, 5)})
    assert answer["applied"], answer
    assert wanted in it.texts[uri]
    left = it.texts[uri].split("\n")
    assert [line for line in code.split("\n") if line not in left] == []


async def test_document_takes_the_definition_around_the_line_that_kate_selects(desk):
    code = "def add(a, b):\n    return a + b\n\n\nx = add(1, 2)\n"
    it = await desk({"says": '```python\ndef add(a, b):\n    """Adds."""'})
    it.open(code)
    there = {"start": {"line": 1, "character": 0}, "end": {"line": 2, "character": 0}}
    assert (await it.command("kruk.document", {"uri": URI, "range": there}))["applied"]
    assert it.texts[URI] == code.replace("):\n", '):\n    """Adds."""\n')
    nowhere = {"start": {"line": 5, "character": 0}, "end": {"line": 6, "character": 0}}
    answer = await it.command("kruk.document", {"uri": URI, "range": nowhere})
    assert "Only a definition" in answer["reason"]


async def test_document_does_not_write_a_second_comment(desk):
    it = await desk()
    it.open('def f():\n    """Here."""\n    return 1\n')
    assert "already" in (await it.command("kruk.document", {"uri": URI, "range": _at(2, 5)}))["reason"]


@pytest.mark.parametrize("shows", [True, False])
async def test_tests_go_where_the_project_keeps_them(desk, tmp_path, shows):
    (tmp_path / "shop").mkdir()
    (tmp_path / "tests").mkdir()
    source = tmp_path / "shop" / "calc.py"
    source.write_text(PY)
    says = "```python\nfrom shop.calc import add\n\n\ndef test_add():\n    assert add(1, 2) == -1\n```"
    it = await desk({"says": says}, show=shows)
    folders = types.WorkspaceFoldersChangeEvent([types.WorkspaceFolder(tmp_path.as_uri(), "x")], [])
    it.editor.client.workspace_did_change_workspace_folders(types.DidChangeWorkspaceFoldersParams(folders))
    it.open(PY, source.as_uri())
    answer = await it.command("kruk.tests", {"uri": source.as_uri(), "range": _at(4, 8)})
    assert answer["applied"], answer
    assert answer["file"] == (tmp_path / "tests" / "test_calc.py").as_uri()
    there = it.texts[answer["file"]]
    assert there == "from shop.calc import add\n\n\ndef test_add():\n    assert add(1, 2) == -1\n"
    assert it.created == [answer["file"]] and it.shown == [answer["file"]] * shows
    assert shows or any("test_calc.py" in message for message in it.messages())


async def test_tests_are_added_to_a_file_that_is_there(desk, tmp_path):
    source, there = tmp_path / "calc.py", tmp_path / "test_calc.py"
    source.write_text(PY)
    there.write_text("import sys\n\n\ndef test_a():\n    assert sys\n")
    says = (
        "```python\nfrom calc import add\n\n\ndef test_add():\n    with pytest.raises(TypeError):\n        add()\n```"
    )
    it = await desk({"says": says})
    it.open(PY, source.as_uri())
    await it.command("kruk.tests", {"uri": source.as_uri(), "range": _at(4, 8)})
    text = it.texts[there.as_uri()]
    assert text.startswith("import pytest\nfrom calc import add\nimport sys\n\n\ndef test_a():")
    assert text.endswith("    assert sys\n\n\ndef test_add():\n    with pytest.raises(TypeError):\n        add()\n")
    assert it.created == [] and there.read_text().startswith("import sys")
    new = [edit.new_text for edit in it.edits[0].document_changes[0].edits]
    assert not any("def test_a(" in text for text in new)  # what was there is not written again


async def test_tests_are_not_written_into_a_file_that_has_changed_meanwhile(desk, tmp_path):
    source, there = tmp_path / "calc.py", tmp_path / "test_calc.py"
    source.write_text(PY)
    it = await desk({"says": "```python\nfrom calc import add\n\n\ndef test_add():\n    assert add\n```"})
    it.open(PY, source.as_uri())
    await it.editor.request("fake/close")
    running = asyncio.ensure_future(it.command("kruk.tests", {"uri": source.as_uri(), "range": _at(4, 8)}))
    while not await it.editor.request("fake/waiting"):
        await asyncio.sleep(0.01)
    there.write_text("import sys\n")
    await it.editor.request("fake/open")
    answer = await asyncio.wait_for(running, 30)
    assert "test_calc.py" in answer["reason"] and "changed meanwhile" in answer["reason"]
    assert it.edits == [] and there.read_text() == "import sys\n"


async def test_a_test_file_that_is_too_long_is_left_alone(desk, tmp_path):
    source, there = tmp_path / "calc.py", tmp_path / "test_calc.py"
    source.write_text(PY)
    there.write_text("# long\n" * 200_000)
    it = await desk()
    it.open(PY, source.as_uri())
    answer = await it.command("kruk.tests", {"uri": source.as_uri(), "range": _at(4, 8)})
    assert "test_calc.py" in answer["reason"] and "Open it in the editor" in answer["reason"]


async def test_an_explanation_fills_a_document_while_it_streams(desk):
    it = await desk({"says": WORDS})
    it.open(PY)
    answer = await it.run("Kruk: Explain", (4, 8))
    assert answer["text"] == harmless(WORDS).strip()
    (uri,) = it.shown
    text = it.texts[uri]
    assert text.startswith("# Explain: add\n\nIt subtracts **b** from a.")
    assert "\\<img" in text and "\\![p](http" in text and "]\\(command:" in text
    assert Path(uri.removeprefix("file://")).stat().st_mode & 0o077 == 0


async def test_an_explanation_without_edits_is_in_its_file(desk):
    it = await desk({"says": "It adds."}, apply=False)
    it.open(PY)
    await it.command("kruk.explain", {"uri": URI})
    assert Path(it.shown[0].removeprefix("file://")).read_text().endswith("It adds.\n")
    assert it.edits == []


async def test_an_explanation_where_nothing_can_be_shown(desk):
    it = await desk({"says": "It adds."}, show=False)
    it.open(PY)
    await it.command("kruk.explain", {"uri": URI})
    assert "Kruk: It adds." in it.messages()


async def test_a_client_that_reads_the_stream_is_shown_nothing(desk):
    it = await desk({"says": "It adds."})
    it.open(PY)
    answer = await it.command("kruk.explain", {"uri": URI, "show": False}, work_done_token="t")
    assert answer["text"] == "It adds." and it.shown == []


async def test_actions_on_the_same_code_do_not_evaluate_it_again(desk):
    """With a chat in between, which takes the sequence."""
    it = await desk({"says": "It adds."})
    it.open(PY)
    await it.command("kruk.explain", {"uri": URI, "range": _at(4, 8)})
    question = {"messages": [{"role": "user", "content": "Something else. " * 50}]}
    first = await it.editor.request("kruk/chat", question)
    await it.command("kruk.explain", {"uri": URI, "range": _at(4, 8)})
    again = await it.editor.request("kruk/chat", question)
    assert again.reusedTokens > first.reusedTokens + 500


@pytest.mark.parametrize("name", ["explain", "fix", "document", "tests", "simplify"])
async def test_cancelling_leaves_nothing_behind(desk, name, tmp_path):
    it = await desk({"says": WORDS}, progress=True)
    source = tmp_path / "calc.py"
    source.write_text(PY)
    it.open(PY, source.as_uri())
    before = {path for path in tmp_path.rglob("*.md*") if path.is_file()}
    await it.editor.request("fake/close")
    argument = {"uri": source.as_uri(), "range": _at(4, 8)}
    running = asyncio.ensure_future(it.command(f"kruk.{name}", argument))
    while not await it.editor.request("fake/waiting"):
        await asyncio.sleep(0.01)
    token = (await it.editor.until("$/progress", lambda params: str(params.token).startswith("kruk-"))).token
    it.editor.client.window_work_done_progress_cancel(types.WorkDoneProgressCancelParams(token))
    answer = await asyncio.wait_for(running, 10)
    assert answer == {"applied": False, "reason": "It was cancelled."}
    assert it.edits == [] and it.texts[source.as_uri()] == PY
    assert {path for path in tmp_path.rglob("*.md*") if path.is_file()} == before
    ends = [params for kind, params in it.editor.notes if kind == "$/progress" and _kind(params) == "end"]
    assert len(ends) == 1


async def test_the_request_can_be_cancelled_too(desk):
    it = await desk({"says": WORDS})
    it.open(PY)
    await it.editor.request("fake/close")
    params = types.ExecuteCommandParams("kruk.simplify", [{"uri": URI, "range": _at(4, 8)}])
    future = it.editor.client.protocol.send_request("workspace/executeCommand", params, msg_id="c")
    while not await it.editor.request("fake/waiting"):
        await asyncio.sleep(0.01)
    it.editor.client.cancel_request(types.CancelParams(id="c"))
    with pytest.raises(JsonRpcException, match="cancelled"):
        await asyncio.wait_for(asyncio.wrap_future(future), 10)


async def test_a_user_has_actions_of_their_own_and_bad_files_are_named(desk, tmp_path):
    own = tmp_path / "home" / "actions"
    own.mkdir(parents=True)
    (own / "shout.md").write_text("---\ntitle: Shout\nedits: code\nlanguages: python\n---\n{code}\n\nMake it loud.\n")
    (own / "bad.md").write_text("---\ntitle: Bad\nedit: code\n---\n{code}\n")
    it = await desk({"says": "```python\ndef add(a, b):\n    return a - b  # LOUD\n```"})
    it.open(PY)
    await it.run("Kruk: Shout", (4, 8))
    assert "# LOUD" in it.texts[URI]
    await it.actions((4, 8))
    told = [
        params.message
        for name, params in it.editor.notes
        if name == "window/logMessage" and "bad.md" in params.message
    ]
    assert len(told) == 1
    assert "line 3" in told[0] and "`edits`" in told[0]


async def test_an_edit_is_resolved_for_a_client_that_applies_none(desk):
    it = await desk({"says": FIXED}, apply=False)
    it.open(PY)
    simplify = next(action for action in await it.actions((4, 8)) if action.title == "Kruk: Simplify")
    assert simplify.command is None
    resolved = await it.editor.client.code_action_resolve_async(simplify)
    assert resolved.edit.document_changes[0].edits[0].new_text == "    return a + b"


async def test_the_wrong_arguments(desk):
    it = await desk()
    it.open(PY)
    with pytest.raises(JsonRpcException, match="not open"):
        await it.command("kruk.fix", {"uri": "file:///nowhere.py"})
    with pytest.raises(JsonRpcException, match="Did you mean `simplify`"):
        await it.command("kruk.action", {"uri": URI, "action": "simplfy"})


@pytest.mark.parametrize("name", ["kruk.explain", "kruk.chat"])
async def test_a_command_by_its_name_alone_says_that_it_needs_a_place(desk, name):
    it = await desk()
    answer = await it.editor.client.workspace_execute_command_async(types.ExecuteCommandParams(name))
    assert not answer["applied"]
    assert any("needs a place" in message for message in it.messages())


def _at(line, character):
    return _span(line, character, line, character)


def _span(line, character, end_line, end_character):
    return {"start": {"line": line, "character": character}, "end": {"line": end_line, "character": end_character}}


def _kind(params):
    return params.value["kind"] if isinstance(params.value, dict) else params.value.kind
