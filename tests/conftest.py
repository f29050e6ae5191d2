"""Shared fixtures: cursors drawn into texts, a real model, a server over real stdio."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import pytest

from lsp_server.model import download, registry
from lsp_server.model.catalogue import DEFAULT_MODEL
from lsp_server.model.worker import Steps

T = TypeVar("T")

CURSOR = "├"
ROOT = Path(__file__).parent.parent


def cut(text: str) -> tuple[str, int]:
    """Text and offset of a text with the cursor drawn into it: `def f(├):`."""
    at = text.index(CURSOR)
    return text.replace(CURSOR, "", 1), at


def run(steps: Steps[T]) -> T:
    """Step a job for the model to its end, with nobody cutting in."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value


def real_model(model_id: str) -> Path:
    """Path of a real model, pulled into the user's cache when it is on this machine nowhere."""
    with pytest.MonkeyPatch.context() as patch:
        try:
            return registry.locate(model_id).path
        except registry.ModelNotFound:
            cache = os.environ.get("XDG_CACHE_HOME", str(Path.home() / ".cache"))
            patch.setenv("KRUK_HOME", str(Path(cache) / "kruk-tests"))
            spec, file = registry.find(model_id)
            print(f"\npulling {model_id} for the tests", file=sys.stderr)
            return download.pull(spec, file, lambda *_: None)


@pytest.fixture(scope="session")
def default_model() -> Path:
    """The default model's file."""
    return real_model(DEFAULT_MODEL)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty KRUK_HOME."""
    folder = tmp_path / "kruk-home"
    folder.mkdir()
    monkeypatch.setenv("KRUK_HOME", str(folder))
    return folder


@pytest.fixture
def draw() -> Callable[[str], tuple[str, int]]:
    """`cut`, as a fixture."""
    return cut
