"""The index of a workspace: which files, kept between runs, changed from outside, never in the way."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from lsp_server.context import index as index_module
from lsp_server.context.index import Index
from lsp_server.context.reading import MAX_FILE_BYTES, read_text
from lsp_server.context.store import MOST_DEFINING
from lsp_server.context.workspace import Workspace
from lsp_server.paths import cache_dir
from lsp_server.text import Document
from tests.workspaces import indexed


@pytest.fixture
def root(tmp_path, home):
    folder = tmp_path / "work"
    folder.mkdir()
    return folder


@pytest.fixture
def opened():
    """A function that indexes a folder; every index is stopped in the end."""
    made = []

    def index(*args, **options):
        made.append(indexed(*args, **options))
        return made[-1]

    yield index
    for one in made:
        one.stop()


def write(root: Path, **files: str) -> None:
    """Write files; `a__b` is `a/b.py`."""
    for name, text in files.items():
        put(root, name.replace("__", "/") + ".py", text)


def put(root: Path, path: str, text: str) -> None:
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    (root / path).write_text(text, encoding="utf-8")


def known(index: Index, root: Path) -> set[str]:
    files = (path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file())
    return {path for path in files if index.has(path)}


# -- which files --------------------------------------------------------------------------------------------------


def test_what_git_ignores_is_not_indexed(root, opened):
    write(root, a="", build__b="", pkg__c="", pkg__d_gen="", pkg__deep__e_gen="", pkg__deep__f="", local="")
    put(root, ".gitignore", "build/\n*_gen.py\n")
    put(root, "pkg/deep/.gitignore", "!e_gen.py\n/f.py\n")
    put(root, ".git/info/exclude", "local.py\n")
    assert known(opened(root), root) == {"a.py", "pkg/c.py", "pkg/deep/e_gen.py"}


def test_ignore_files_above_the_workspace_count_up_to_the_repository(root, opened):
    put(root, ".git/HEAD", "")
    put(root, ".gitignore", "/app/src/made.py\n")
    put(root, "app/.gitignore", "also.py\n")
    write(root, app__src__made="", app__src__also="", app__src__kept="")
    assert known(opened(root / "app" / "src"), root / "app" / "src") == {"kept.py"}


def test_excluded_globs_and_the_folders_of_tools(root, opened):
    write(root, a="", secret__b="", node_modules__c="", venv__lib__d="", cache__e="", deep__x__node_modules__f="")
    put(root, "venv/pyvenv.cfg", "")
    put(root, "cache/CACHEDIR.TAG", "")
    assert known(opened(root, exclude_globs=("secret/**",)), root) == {"a.py"}


@pytest.mark.skipif(os.name == "nt", reason="links need a privilege there")
def test_links_are_not_followed_and_loops_end(root, tmp_path, opened):
    write(root, a="def inside(): pass")
    put(tmp_path, "outside/b.py", "def outside(): pass")
    (root / "loop").symlink_to(root, target_is_directory=True)
    (root / "away").symlink_to(tmp_path / "outside", target_is_directory=True)
    (root / "c.py").symlink_to(tmp_path / "outside" / "b.py")
    os.mkfifo(root / "pipe.py")
    index = opened(root)
    assert index.status().n_files == 1
    index.touch("c.py")
    index.touch("pipe.py")
    assert index.wait(10) and index.defining("outside") == []


def test_files_that_nobody_wrote_have_no_outline(root, opened):
    write(root, huge="x = 1\n" * (MAX_FILE_BYTES // 5), minified="x = 1;" * 2000, binary="def f(): pass\0")
    write(root, good="def f(): pass")
    put(root, "folder.py/x.txt", "")
    index = opened(root)
    assert index.status().n_files == 1 and index.defining("f") == ["good.py"]
    assert [index.outline(f"{name}.py") for name in ("huge", "minified", "binary", "folder")] == [None] * 4


def test_what_cannot_be_read_is_no_text(root):
    assert read_text(root) is None
    assert read_text(root / "missing.py") is None
    (root / "latin.py").write_bytes(b"\xef\xbb\xbfx = '\xe9'\r\n")
    assert read_text(root / "latin.py") == "x = '\ufffd'\r\n"


# -- changes ------------------------------------------------------------------------------------------------------


def test_a_change_from_outside_is_seen_when_it_is_asked_for(root, opened):
    write(root, a="def before(): pass")
    index = opened(root)
    write(root, a="def after_it(): pass")
    assert [row.name for row in index.outline("a.py").definitions] == ["after_it"]
    assert index.wait(10)
    assert index.defining("after_it") == ["a.py"] and index.defining("before") == []


def test_touched_files_are_looked_at(root, opened):
    put(root, ".gitignore", "hidden/\n")
    write(root, a="def f(): pass", b="def g(): pass")
    index = opened(root)
    (root / "a.py").unlink()
    write(root, new__c="def h(): pass", hidden__d="def i(): pass")
    for path in ("a.py", "new/c.py", "hidden/d.py", "never/was.py", "note.txt"):
        index.touch(path)
    assert index.wait(10)
    assert known(index, root) == {"b.py", "new/c.py"} and index.outline("a.py") is None
    assert index.defining("f") == [] and index.defining("h") == ["new/c.py"]


def test_a_rescan_finds_what_nobody_told(root, opened):
    write(root, a="def f(): pass", gone__b="def g(): pass", gone__deep__c="def h(): pass")
    index = opened(root)
    (root / "gone" / "b.py").unlink()
    (root / "gone" / "deep" / "c.py").unlink()
    (root / "gone" / "deep").rmdir()
    write(root, a="def changed(): pass", d="def i(): pass")
    put(root, ".gitignore", "d.py")
    index.rescan()
    assert index.wait(10)
    assert known(index, root) == {"a.py"} and index.status().n_files == 1
    assert [index.defining(name) for name in ("f", "g", "h", "changed")] == [[], [], [], ["a.py"]]


# -- between runs -------------------------------------------------------------------------------------------------


def test_a_saved_index_answers_at_once_and_reads_only_what_changed(root, opened, monkeypatch):
    write(root, a="def f(): pass", b="class C:\n    def m(self): pass")
    opened(root).stop()
    write(root, b="def changed(): pass")
    read = []
    monkeypatch.setattr(index_module, "read_text", lambda file: read.append(file.name) or read_text(file))
    index = Index(root)
    assert index.defining("f") == ["a.py"] and index.defining("m", is_member=True) == ["b.py"]
    index.start()
    assert index.wait(10)
    assert read == ["b.py"] and index.defining("changed") == ["b.py"]
    index.stop()


def test_nothing_is_written_into_the_workspace(root, opened):
    write(root, a="def f(): pass")
    opened(root)
    assert [path.name for path in root.iterdir()] == ["a.py"]
    assert len(list((cache_dir() / "index").glob("*.kruk"))) == 1


def saved() -> Path:
    (path,) = (cache_dir() / "index").glob("*.kruk")
    return path


def test_a_damaged_index_is_made_anew(root, opened):
    write(root, a="def f(): pass")
    opened(root).stop()
    saved().write_bytes(b"not a database, at all" * 500)
    assert opened(root).defining("f") == ["a.py"]


def test_an_index_with_damage_inside_is_made_anew_the_next_time(root, opened):
    write(root, **{f"m{i}": f"def f{i}(): pass" for i in range(200)})
    opened(root).stop()
    with saved().open("r+b") as file:
        file.seek(8192)
        file.write(b"\xff" * (saved().stat().st_size - 8192))
    index = Index(root)
    assert index.defining("f1") == [] and index.outline("m1.py") is None
    index.stop()
    assert opened(root).defining("f1") == ["m1.py"]


def test_an_index_of_other_queries_is_made_anew(root, opened, monkeypatch):
    write(root, a="def f(): pass")
    opened(root).stop()
    before = saved()
    monkeypatch.setattr(index_module, "version", lambda: "other")
    index = Index(root)
    assert index.status().n_files == 0 and saved() != before
    index.stop()


def test_two_servers_may_index_one_workspace(root, opened):
    for i in range(150):
        write(root, **{f"m{i}": f"def f{i}(): pass"})
    indexes = [Index(root), Index(root)]
    for index in indexes:
        index.start()
    for index in indexes:
        assert index.wait(30) and index.status().n_files == 150
        assert index.defining("f149") == ["m149.py"]
        index.stop()


def test_without_a_cache_folder_there_is_no_index(root, tmp_path, monkeypatch):
    put(tmp_path, "file", "")
    monkeypatch.setenv("KRUK_HOME", str(tmp_path / "file"))
    write(root, a="def f(): pass")
    index = indexed(root)
    assert index.status().n_files == 0 and index.outline("a.py") is None and index.defining("f") == []
    index.stop()


# -- out of the way -----------------------------------------------------------------------------------------------


def test_nothing_is_read_while_the_server_is_busy(root):
    write(root, a="def f(): pass")
    asked, is_idle = threading.Event(), threading.Event()

    def is_busy():
        asked.set()
        return not is_idle.is_set()

    index = Index(root, is_busy=is_busy)
    index.start()
    assert asked.wait(10) and not index.wait(0.1)
    assert index.status() == index_module.IndexStatus(0, True)
    is_idle.set()
    assert index.wait(10) and index.status() == index_module.IndexStatus(1, False)
    index.stop()


def test_it_stops_in_the_middle_of_its_work(root):
    for i in range(20):
        write(root, **{f"m{i}": f"def f{i}(): pass\n" * 5000})
    index = Index(root)
    index.start()
    index.stop(10)
    assert index.wait(0) and index.defining("f1") == []


# -- the view -----------------------------------------------------------------------------------------------------


def document(path: str, text: str) -> Document:
    return Document(f"file:///{path}", "python", 1, text)


def test_an_open_document_goes_over_its_file(root, opened):
    write(root, a="def saved(): pass", b="def other(): pass")
    documents = {path: document(path, f"def unsaved(): pass\r\n# {path}") for path in ("a.py", "new/c.py")}
    view = Workspace(opened(root), documents)
    assert view.defining("saved") == [] and view.defining("unsaved") == ["a.py", "new/c.py"]
    assert view.lines("a.py") == ["def unsaved(): pass", "# a.py"] and view.lines("b.py") == ["def other(): pass"]
    assert view.has("new/c.py") and view.in_folder("new") == ["new/c.py"] and view.ending("c.py") == ["new/c.py"]


def test_a_masked_file_does_not_exist(root, opened):
    write(root, p__a="def f(): pass", p__b="def f(): pass")
    view = Workspace(opened(root), {"p/a.py": document("p/a.py", "def f(): pass")}, masked=["p/a.py"])
    assert view.outline("p/a.py") is None and not view.has("p/a.py") and view.lines("p/a.py") == []
    assert view.defining("f") == view.in_folder("p") == ["p/b.py"] and view.ending("a.py") == []


def test_a_name_that_many_files_define_is_counted_no_further(root, opened):
    for i in range(2 * MOST_DEFINING):
        write(root, **{f"m{i}": "def common(): pass\nclass C:\n    def method(self): pass"})
    index = opened(root)
    assert len(index.defining("common")) == MOST_DEFINING + 1
    assert index.defining("method") == [] and index.defining("common", is_member=True) == []
    assert len(index.defining("method", is_member=True)) == MOST_DEFINING + 1
