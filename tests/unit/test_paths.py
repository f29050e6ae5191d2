"""The cache folder: private, bounded, and never in the way."""

import os

import pytest

from lsp_server import paths
from lsp_server.paths import CacheFolder


@pytest.fixture
def folder(home):
    return CacheFolder("things", 100)


def age(folder, name, seconds):
    path = folder.at(name)
    os.utime(path, (path.stat().st_atime, path.stat().st_mtime - seconds))


def test_it_is_below_the_home(folder, home):
    folder.write("a", b"1", memoryview(b"23"))
    assert folder.at("a").read_bytes() == b"123"
    assert folder.at("a").is_relative_to(home)
    assert folder.names() == ["a"]


def test_only_the_user_may_read_it(folder):
    folder.write("a", b"secret")
    modes = [path.stat().st_mode & 0o777 for path in (folder.at("a"), folder.path)]
    assert modes == [0o600, 0o700] or os.name == "nt"


def test_the_oldest_go_when_it_is_full(folder):
    for i, name in enumerate("abc"):
        folder.write(name, bytes(40))
        for older in "abc"[: i + 1]:
            if older in folder.names():
                age(folder, older, 10)
    assert folder.names() == ["b", "c"]
    folder.touch("b")
    folder.write("d", bytes(40))
    assert folder.names() == ["b", "d"]


def test_a_file_that_cannot_be_written_leaves_nothing(folder, home):
    (home / "cache").write_text("a file where the folder should be")
    assert not folder.write("a", b"1")
    assert folder.names() == []
    folder.touch("a")
    folder.remove("a")


def test_a_failed_write_leaves_the_old_file_and_no_draft(folder, monkeypatch):
    folder.write("a", b"old")

    def full(handle, mode):
        os.close(handle)
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fdopen", full)
    assert not folder.write("a", b"new")
    assert folder.at("a").read_bytes() == b"old"
    assert len(list(folder.path.iterdir())) == 1


def test_clearing_touches_only_what_is_ours(folder, home):
    folder.write("a", bytes(7))
    mine = home / "cache" / "things" / "thesis.txt"
    mine.write_text("not Kruk's")
    explanation = home / "cache" / "answers" / "explanation-1-1.md"
    explanation.parent.mkdir()
    explanation.write_bytes(bytes(5))
    notes = explanation.with_name("notes.md")
    notes.write_text("not Kruk's either")
    assert paths.cache_bytes() == 12
    assert paths.clear_cache() == 12
    assert (explanation.exists(), notes.exists()) == (False, True)
    assert (paths.cache_bytes(), mine.exists()) == (0, True)


def test_an_empty_cache(home):
    assert (paths.cache_bytes(), paths.clear_cache()) == (0, 0)
