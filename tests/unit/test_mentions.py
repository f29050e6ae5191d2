"""What a question mentions is found and shown, or it is said why not."""

import shutil
import subprocess

import pytest

from lsp_server.chat.excerpt import Excerpt
from lsp_server.chat.mentions import Folder, Sources, mentions, resolve
from lsp_server.context.workspace import Workspace
from lsp_server.settings import SECRET_GLOBS
from lsp_server.text import Document
from tests.workspaces import SAMPLES, indexed


@pytest.fixture
def folder(tmp_path):
    root = tmp_path / "work"
    (root / "src").mkdir(parents=True)
    (root / "src" / "a.py").write_bytes(b"one = 1\r\ntwo = 2\r\nthree = 3\r\n")
    (root / "my notes.txt").write_text("note\n")
    (root / ".env").write_text("KEY=secret\n")
    (root / "Makefile").write_text("all:\n")
    (root / "data.bin").write_bytes(b"a\0b")
    (tmp_path / "outside.py").write_text("outside = 1\n")
    return root


def found(question, root, documents=None, **sources):
    folders = [Folder(root, Workspace(None, documents or {}))]
    return resolve(question, Sources(folders, SECRET_GLOBS, **sources))


@pytest.mark.parametrize(
    ("question", "names"),
    [
        ("Compare @src/a.py:2-3 and @Makefile.", [("src/a.py", (2, 3)), ("Makefile", None)]),
        ('@file:"my notes.txt":1, @symbol:Client.get?', [("my notes.txt", (1, 1)), ("Client.get", None)]),
        ("(@selection) @diff @diff", [("selection", None), ("diff", None)]),
        ("a@b.c, `@property`, user@host\n```\n@staticmethod\n```", []),
        ("a lone @ and @, too", []),
    ],
)
def test_what_is_a_mention(question, names):
    assert [(it.name, it.lines) for it in mentions(question)] == names


def test_a_file_and_lines_of_it(folder):
    resolved = found('@src/a.py @src/a.py:2-3 @file:"my notes.txt" @Makefile', folder)
    assert [(it.title, it.text, it.first_line, it.language) for it in resolved.excerpts] == [
        ("src/a.py", "one = 1\ntwo = 2\nthree = 3", 1, "python"),
        ("src/a.py", "two = 2\nthree = 3", 2, "python"),
        ("my notes.txt", "note", 1, ""),
        ("Makefile", "all:", 1, ""),
    ]
    assert not resolved.problems


def test_an_open_document_goes_over_its_file(folder):
    document = Document("file:///x", "python", 1, "unsaved")
    assert found("@src/a.py", folder, {"src/a.py": document}).excerpts[0].text == "unsaved"


@pytest.mark.parametrize(
    ("question", "why"),
    [
        ("@.env", "`.env` is never shown: `**/.env` in `kruk.completion.excludeGlobs` excludes it"),
        ("@../outside.py", "there is no such file in the workspace"),
        ("@src/none.py", "there is no such file in the workspace"),
        ("@src/a.py:9", "`src/a.py` has 4 lines"),
        ("@src/a.py:3-2", "has 4 lines"),
        ("@data.bin", "not a text file"),
        ("@nothing", "there is no file and no definition of that name"),
        ("@symbol:nothing", "there is no definition of that name"),
        ("@selection", "there is no selection here"),
        ("@diagnostics", "nobody has told"),
        ("@diff", "git has no diff"),
    ],
)
def test_what_is_not_shown_is_said(folder, question, why):
    resolved = found(question, folder, diagnostics="nobody has told")
    assert not resolved.excerpts
    assert len(resolved.problems) == 1 and why in resolved.problems[0]
    assert resolved.problems[0].startswith(f"`{question}`: ")


def test_a_link_that_leads_out_is_not_followed(folder):
    try:
        (folder / "link.py").symlink_to(folder.parent / "outside.py")
    except OSError:  # Windows lets few users do this
        return
    assert found("@link.py", folder).problems


def test_what_the_editor_has_told(folder):
    selection = Excerpt("@selection", "src/a.py", "two = 2", "python", 2)
    assert found("@selection", folder, selection=selection).excerpts == [selection]


def test_names_of_files_and_definitions_are_found_in_the_index(home):
    index = indexed(SAMPLES / "python")
    try:
        sources = Sources([Folder(SAMPLES / "python", Workspace(index))], ("**/models.py",))
        resolved = resolve("@tax.py @symbol:with_vat @Invoice.send @Order.send @Customer", sources)
    finally:
        index.stop()
    tax, invoice = "src/shop/billing/tax.py", "src/shop/billing/invoice.py"
    assert [(it.mention, it.title) for it in resolved.excerpts] == [
        ("@tax.py", tax), ("@symbol:with_vat", tax), ("@Invoice.send", invoice),
    ]  # fmt: skip
    assert resolved.excerpts[2].text.lstrip().startswith("def send(self)")
    assert "no file and no definition" in resolved.problems[0]
    assert "`src/shop/models.py` is never shown" in resolved.problems[1]


def git(folder, *arguments):
    options = ["-c", "user.name=x", "-c", "user.email=x@x", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", "-C", folder, *options, *arguments], check=True, capture_output=True)


@pytest.mark.parametrize("changed", [(), ("src/a.py",), ("src/a.py", ".env")])
def test_the_diff(folder, changed):
    assert shutil.which("git"), "install git: these tests need it"
    git(folder, "init", "-q")
    git(folder, "add", "-A", "-f")
    git(folder, "commit", "-qm", "x")
    for name in changed:
        (folder / name).write_text("changed = True\n")
    resolved = found("@diff", folder)
    shown = "".join(it.text for it in resolved.excerpts)
    assert ("+changed = True" in shown) == bool(changed)
    assert "secret" not in shown
    assert [".env" in it or "nothing has changed" in it for it in resolved.problems] == [True] * (len(changed) != 1)
