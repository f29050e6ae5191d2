"""`kruk eval` as a user runs it."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.unit.test_eval import BASKET, SHOP

Kruk = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "shop"
    (folder / "till").mkdir(parents=True)
    (folder / "till" / "shop.py").write_text(SHOP)
    (folder / "till" / "basket.py").write_text(BASKET)
    (folder / "json.py").write_text("raise SystemExit('the project was run')\n")
    return folder


@pytest.mark.model
def test_a_model_is_measured_on_a_project(kruk: Kruk, project: Path, tmp_path: Path, default_model: Path) -> None:
    before = {path: path.read_bytes() for path in project.rglob("*") if path.is_file()}
    files = [f"--json={tmp_path / 'a.json'}", f"--report={tmp_path / 'a.md'}", f"--plot={tmp_path / 'a.svg'}"]
    done = kruk("eval", project, "--models", default_model, "--no-context", "-n", 1, *files)
    assert "room for 0 of the kind “cross-file, hard”" in done.stderr
    assert f"Use `{default_model.stem}" in " ".join(done.stdout.split())
    result = json.loads((tmp_path / "a.json").read_text(encoding="utf-8"))
    assert len(result["comparison"]) == 2
    assert result["comparison"][0]["n"] == 4
    assert {case["kind"] for case in result["cases"]} == {"rest", "line", "block", "cross-file"}
    assert all(case["ms"] > 0 and ("text" not in case) for case in result["cases"])
    assert any(case["similarity"] > 0.5 for case in result["cases"])
    assert all(mib > 300 for mib in result["memoryMib"].values())
    assert "![Figures by kind of hole](a.svg)" in (tmp_path / "a.md").read_text(encoding="utf-8")
    assert (tmp_path / "a.svg").read_text(encoding="utf-8").startswith("<svg")
    assert {path: path.read_bytes() for path in project.rglob("*") if path.is_file()} == before


@pytest.mark.model
def test_a_run_that_was_stopped_goes_on(kruk: Kruk, project: Path, tmp_path: Path, default_model: Path) -> None:
    journal, result = tmp_path / "run.jsonl", tmp_path / "a.json"
    command = ["eval", project, "--models", default_model, "-n", 1, "--journal", journal, "--json", result]
    kruk(*command)
    whole, lines = json.loads(result.read_text(encoding="utf-8")), journal.read_bytes().splitlines(keepends=True)
    assert len(lines) == 4
    journal.write_bytes(b"".join(lines[:3]) + lines[3][:40])
    done = kruk(*command)
    assert "3 answers are in the journal already" in done.stderr
    assert json.loads(result.read_text(encoding="utf-8"))["cases"][:3] == whole["cases"][:3]
    assert len(journal.read_bytes().splitlines()) == 4


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--models", "qwen2.5-coder-0.5-instruct"], "Did you mean `qwen2.5-coder-0.5b-instruct`"),
        ([], "kruk models pull"),
        (["--settings", "{"], "is not JSON"),
        (["--settings", '{"threds": 1}'], "Did you mean `threads`"),
    ],
)
def test_it_says_what_is_wrong(kruk: Kruk, project: Path, arguments: list[str], words: str) -> None:
    done = kruk("eval", project, *arguments, code=1)
    assert words in done.stderr
    assert done.stdout == ""


@pytest.mark.model
def test_it_says_which_language_or_folder_is_wrong(kruk: Kruk, project: Path, default_model: Path) -> None:
    def told(folder: Path, *arguments: str) -> str:
        return kruk("eval", folder, "--models", default_model, *arguments, code=1).stderr

    assert "`python`" in told(project, "--languages", "pyton")
    assert "no source files in go" in told(project, "--languages", "go")
    assert "does not exist" in told(project / "gone")
