"""What the model sees of the workspace: found in the background, changed by edits and on disk."""

import asyncio

import pytest
from lsprotocol import types

from tests.e2e.conftest import texts

SHAPES = "class Circle:\n    def area_of_it(self, radius):\n        return radius * radius * 3\n"
MAIN = "from shapes import Circle\n\nround_one = Circle()\nprint(round_one.)\n"


@pytest.fixture
def workspace(tmp_path):
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "shapes.py").write_text(SHAPES)
    (folder / ".gitignore").write_text("secret.py\n")
    (folder / "secret.py").write_text("class Circle:\n    def secret_area(self): ...\n")
    return folder


async def ask(editor, uri):
    answer = await editor.ask(3, 16, uri=uri)
    rooms = {room.room: room for room in (await editor.request("kruk/lastCompletion")).rooms}
    return texts(answer), rooms


async def opened(start, workspace, **options):
    editor = await start({"knows": [MAIN]}, root=workspace.as_uri(), options=options)
    await editor.ready()
    uri = (workspace / "main.py").as_uri()
    editor.open(MAIN, uri)
    return editor, uri


async def test_the_model_sees_what_is_imported(start, workspace):
    editor, uri = await opened(start, workspace)
    _, rooms = await ask(editor, uri)
    assert len(rooms["context"].pieces) == 1
    assert rooms["context"].pieces[0].startswith("shapes.py: ")


async def test_nothing_is_written_into_the_workspace(start, workspace):
    before = sorted(workspace.rglob("*"))
    editor, uri = await opened(start, workspace)
    await ask(editor, uri)
    assert await editor.quit() == 0
    assert sorted(workspace.rglob("*")) == before


async def test_context_can_be_switched_off(start, workspace):
    editor, uri = await opened(start, workspace, context={"enabled": False})
    _, rooms = await ask(editor, uri)
    assert not rooms["context"].pieces


async def test_a_file_that_is_made_later_is_seen(start, workspace):
    (workspace / "shapes.py").unlink()
    editor, uri = await opened(start, workspace)
    _, rooms = await ask(editor, uri)
    assert not rooms["context"].pieces
    (workspace / "shapes.py").write_text(SHAPES)
    changed = types.FileEvent((workspace / "shapes.py").as_uri(), types.FileChangeType.Created)
    editor.client.workspace_did_change_watched_files(types.DidChangeWatchedFilesParams([changed]))
    for n in range(1, 200):
        editor.type(types.Position(0, 0), "#\n", uri)  # moves everything: the context is chosen anew
        await editor.ask(0, 0, uri=uri)  # as it is for another line than before
        await editor.ask(3 + n, 16, uri=uri)
        rooms = {room.room: room for room in (await editor.request("kruk/lastCompletion")).rooms}
        if "context" in rooms and rooms["context"].pieces:
            return
        await asyncio.sleep(0.05)
    raise AssertionError("shapes.py was never seen")


async def test_an_open_document_is_seen_as_it_is_in_the_editor(start, workspace):
    editor, uri = await opened(start, workspace)
    other = (workspace / "shapes.py").as_uri()
    editor.open(SHAPES.replace("Circle", "Square"), other)
    editor.open(MAIN.replace("Circle", "Square"), uri)
    _, rooms = await ask(editor, uri)
    assert rooms["context"].pieces[0].startswith("shapes.py: ")  # which has no Square on disk
