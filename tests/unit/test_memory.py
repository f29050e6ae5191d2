"""Memory: what a model needs, what there is, and what is said when it does not fit."""

import dataclasses
import subprocess
import sys

import pytest

from lsp_server.errors import ModelTooLarge
from lsp_server.model import memory, registry
from tests import gguf_files as files
from tests.conftest import ROOT


@pytest.fixture
def located(tmp_path):
    return registry.locate(str(files.write(tmp_path / "tiny.gguf", files.model())))


def test_the_kv_cache_grows_with_the_context(located):
    small, large = (memory.estimate(located, n_ctx) for n_ctx in (1024, 4096))
    assert large.kv_cache == 4 * small.kv_cache > 0
    assert small.weights == large.weights == located.size_bytes
    assert small.total > small.weights + small.kv_cache + small.compute


def test_what_fits_is_let_through(located, monkeypatch):
    monkeypatch.setattr(memory, "available_bytes", lambda: 8 << 30)
    assert memory.check(located, 4096) == memory.estimate(located, 4096)


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
    need = memory.estimate(located, 2048).total + memory.RESERVE_BYTES
    monkeypatch.setattr(memory, "available_bytes", lambda: need)
    with pytest.raises(ModelTooLarge, match="contextSize"):
        memory.check(located, 1 << 20)


def test_matrices_that_are_copied_in_another_order_are_counted_once_where_memory_is_short(tmp_path, monkeypatch):
    """Q4_0, a whole row of blocks: llama.cpp makes a copy of it on every processor, of the embeddings it does not."""
    tensors = [files.tensor("token_embd.weight", (32, 8), 2), files.tensor("blk.0.ffn_up.weight", (32, 8), 2, 160)]
    content = files.gguf(files.model_metadata(), tensors, 160 + 144)
    located = registry.locate(str(files.write(tmp_path / "q4.gguf", content)))
    need = memory.estimate(located, 1024)

    assert need.repacked == 144
    assert need.total - need.least == 144
    monkeypatch.setattr(memory, "available_bytes", lambda: need.least + memory.RESERVE_BYTES)
    assert memory.check(located, 1024) == need
    monkeypatch.setattr(memory, "address_space_left", lambda: need.least + memory.RESERVE_BYTES)
    with pytest.raises(ModelTooLarge):  # a ulimit is of what is mapped
        memory.check(located, 1024)


def test_all_parts_of_a_model_count(located):
    whole = dataclasses.replace(located, size_bytes=located.size_bytes + (1 << 30))
    assert memory.estimate(whole, 1024).weights == located.size_bytes + (1 << 30)


@pytest.mark.parametrize(
    ("line", "folder", "most", "now"),
    [
        ("0::/user.slice/app.scope", "user.slice/app.scope", "memory.max", "memory.current"),
        ("0::/user.slice/app.scope", "user.slice", "memory.max", "memory.current"),
        ("4:memory:/job", "memory/job", "memory.limit_in_bytes", "memory.usage_in_bytes"),
        ("0::/", "", "memory.max", "memory.current"),
    ],
)
def test_a_cgroup_counts_and_those_around_it(tmp_path, monkeypatch, located, line, folder, most, now):
    monkeypatch.setattr(memory, "CGROUPS", tmp_path / "cgroup")
    monkeypatch.setattr(
        memory, "PROC_CGROUP", files.write(tmp_path / "proc", f"9:name=systemd:/x\n{line}\n".encode())
    )
    unlimited = memory.available_bytes()
    files.write(tmp_path / "cgroup" / folder / most, b"max" if most == "memory.max" else b"9223372036854771712")
    assert memory.available_bytes() > unlimited // 2
    files.write(tmp_path / "cgroup" / folder / most, str(100 << 20).encode())
    files.write(tmp_path / "cgroup" / folder / now, str(60 << 20).encode())
    files.write(tmp_path / "cgroup" / folder / "memory.stat", f"inactive_file {20 << 20}\n".encode())

    assert memory.available_bytes() == 60 << 20
    with pytest.raises(ModelTooLarge, match="60 MiB are free"):
        memory.check(located, 4096)


if sys.platform != "win32":  # where there are no such limits

    def test_a_ulimit_counts():
        code = (
            "import resource; resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))\n"
            "from lsp_server.model import memory; print(memory.available_bytes())"
        )
        run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
        assert 0 < int(run.stdout) < 1 << 30


if sys.platform == "linux":  # elsewhere such a limit cannot be set

    def test_what_does_not_fit_into_a_ulimit_is_refused_before_llama_cpp_is_loaded(tmp_path):
        metadata = files.model_metadata()
        content = files.gguf(metadata, [files.tensor("output.weight", (1 << 15, 1 << 14))])
        path = files.write(tmp_path / "large.gguf", content)
        with path.open("r+b") as stream:
            stream.truncate(len(content) + (1 << 31))  # holes: it takes no room on the disk
        code = (
            "import resource, sys; resource.setrlimit(resource.RLIMIT_AS, (3 << 29, 3 << 29))\n"
            "from lsp_server import settings\n"
            "from lsp_server.errors import ModelTooLarge\n"
            "from lsp_server.model.loading import loader_for\n"
            f"wanted = settings.read({{'model': {str(path)!r}}}).settings\n"
            "try:\n    loader_for(wanted)(print, lambda: True)\n"
            "except ModelTooLarge as error:\n    print(error)\n"
            "print('llama_cpp' in sys.modules)"
        )
        run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
        assert "`large` needs 2.1 GiB (weights 2.0 GiB, KV cache for 2048 tokens" in run.stdout
        assert "GiB are free" in run.stdout or "MiB are free" in run.stdout
        assert run.stdout.endswith("False\n")


@pytest.mark.parametrize(("n_bytes", "text"), [(1 << 30, "1.0 GiB"), (1610612736, "1.5 GiB"), (340 << 20, "340 MiB")])
def test_bytes_for_people(n_bytes, text):
    assert memory.gib(n_bytes) == text


def test_threads_are_within_what_there_is():
    assert 1 <= memory.default_threads() <= 64
