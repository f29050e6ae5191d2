"""Memory: what a model needs, what there is, and what is said when it does not fit."""

import subprocess
import sys

import pytest

from lsp_server.errors import ModelTooLarge
from lsp_server.model import memory, registry
from tests import gguf_files
from tests.conftest import ROOT


@pytest.fixture
def located(tmp_path):
    return registry.locate(str(gguf_files.write(tmp_path / "tiny.gguf", gguf_files.model())))


def test_the_kv_cache_grows_with_the_context(located):
    small, large = (memory.estimate(located.header, n_ctx) for n_ctx in (1024, 4096))
    assert large.kv_cache == 4 * small.kv_cache > 0
    assert small.weights == large.weights == located.header.size_bytes
    assert small.total > small.weights + small.kv_cache + small.compute


def test_what_fits_is_let_through(located, monkeypatch):
    monkeypatch.setattr(memory, "available_bytes", lambda: 8 << 30)
    assert memory.check(located, 4096) == memory.estimate(located.header, 4096)


def test_what_cannot_fit_is_refused_with_the_figures_and_a_proposal(located, monkeypatch):
    monkeypatch.setattr(memory, "available_bytes", lambda: 300 << 20)
    monkeypatch.setattr(memory, "BASE_BYTES", 2 << 30)
    with pytest.raises(ModelTooLarge) as refused:
        memory.check(located, 4096)
    text = str(refused.value)
    for figure in ("2.0 GiB", "weights", "KV cache for 4096 tokens", "300 MiB are free"):
        assert figure in text
    assert "Close other programs" in refused.value.hint


def test_a_smaller_model_is_proposed_when_one_fits(located, monkeypatch):
    monkeypatch.setattr(memory, "available_bytes", lambda: 3 << 30)
    monkeypatch.setattr(memory, "BASE_BYTES", 4 << 30)
    with pytest.raises(ModelTooLarge, match="kruk models pull"):
        memory.check(located, 4096)


def test_a_smaller_context_is_proposed_when_that_is_enough(located, monkeypatch):
    need = memory.estimate(located.header, 2048).total + memory.RESERVE_BYTES
    monkeypatch.setattr(memory, "available_bytes", lambda: need)
    with pytest.raises(ModelTooLarge, match="contextSize"):
        memory.check(located, 1 << 20)


if sys.platform != "win32":  # where there are no such limits

    def test_a_ulimit_counts():
        code = (
            "import resource; resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))\n"
            "from lsp_server.model import memory; print(memory.available_bytes())"
        )
        run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
        assert 0 < int(run.stdout) < 1 << 30


@pytest.mark.parametrize(("n_bytes", "text"), [(1 << 30, "1.0 GiB"), (1610612736, "1.5 GiB"), (340 << 20, "340 MiB")])
def test_bytes_for_people(n_bytes, text):
    assert memory.gib(n_bytes) == text


def test_threads_are_within_what_there_is():
    assert 1 <= memory.default_threads() <= 64
