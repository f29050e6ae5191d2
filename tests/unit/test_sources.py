"""The parts of benchmarks/sources.py that need no registry."""

from __future__ import annotations

import io
import sys
import tarfile
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[2] / "benchmarks"))

import sources

from lsp_server.syntax.languages import languages


def archive(path: Path, **files: str) -> Path:
    with tarfile.open(path, "w:gz") as tar:
        for name, text in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(text)
            tar.addfile(member, io.BytesIO(text.encode()))
    return path


def test_every_row_can_be_fetched_and_is_of_a_known_language() -> None:
    rows = sources.sources()
    assert {row.language for row in rows} <= {language.name for language in languages()}
    assert {row.origin for row in rows} <= set(sources.BY)
    assert all(row.version and row.licence for row in rows)


def test_an_archive_loses_the_folder_around_it(tmp_path: Path) -> None:
    sources.unpack(
        archive(tmp_path / "a.tgz", **{"package-1/a.py": "a", "package-1/src/b.py": "b"}), tmp_path / "out"
    )
    assert (tmp_path / "out" / "src" / "b.py").read_text() == "b"
    with pytest.raises(tarfile.TarError):
        sources.unpack(archive(tmp_path / "b.tgz", **{"../outside.py": "x"}), tmp_path / "out2")
    assert not (tmp_path / "outside.py").exists()


def test_lists_of_places_are_turned_to_sources() -> None:
    assert sources.deb_src("# deb\ndeb [a=b] http://x y main\n") == "# deb\ndeb-src [a=b] http://x y main\n"
    assert sources.deb_src("Types: deb\nURIs: http://x\n") == "Types: deb-src\nURIs: http://x\n"


def test_what_was_built_from_the_sources_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = {"package/src/a.ts": "a", "package/dist/a.js": "a"}
    monkeypatch.setitem(sources._FETCH, "npm", lambda _source, folder: archive(folder / "a.tgz", **files))
    source = sources.Source("typescript", "@a/b", "npm", "1", "MIT")
    sources.fetch(source, tmp_path / "typescript" / "a-b")
    assert (tmp_path / "typescript" / "a-b" / "src" / "a.ts").exists()
    assert not (tmp_path / "typescript" / "a-b" / "dist").exists()
    assert [path.name for path in (tmp_path / "typescript").iterdir()] == ["a-b"]
