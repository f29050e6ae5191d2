"""Quantising a real model: the dry run's size is right, the result is a model, and a failure leaves nothing."""

import pytest
from typer.testing import CliRunner

from lsp_server import paths
from lsp_server.cli.models import app
from lsp_server.cli.quantize import default_target
from lsp_server.errors import KrukError
from lsp_server.model import quantize, registry
from tests import gguf_files as files
from tests.conftest import real_model


@pytest.fixture
def smollm():
    return registry.locate(str(real_model("smollm2-135m-instruct")))


def run(*arguments):
    return CliRunner().invoke(app, ["quantize", *map(str, arguments)])


@pytest.mark.model
def test_quantise_a_model(smollm, home):
    licence = smollm.header.metadata["general.license"]
    dry = run(smollm.path, "q4_0", "--dry-run")
    assert dry.exit_code == 0 and "quantised already" in dry.stderr and not paths.models_dir().exists()
    refused = run(smollm.path, "q4_0")
    assert refused.exit_code == 1 and "--requantize" in refused.stderr

    told = []
    target = paths.models_dir() / "small.gguf"
    what = quantize.plan(smollm, "q4_0", target)
    assert quantize.quantize(smollm, what, lambda at, of: told.append((at, of))) == target

    made = registry.locate("small")
    assert made.header.quantisation == "Q4_0"
    assert made.header.metadata["general.license"] == licence
    assert made.header.n_tensors == smollm.header.n_tensors == told[-1][0] == told[-1][1]
    assert made.size_bytes == pytest.approx(what.size_bytes, rel=0.01)
    assert [path.name for path in target.parent.iterdir()] == ["small.gguf"]
    with pytest.raises(KrukError, match="is there already"):
        quantize.quantize(smollm, what, lambda *_: None)


@pytest.mark.model
def test_a_failure_leaves_nothing(smollm, tmp_path, monkeypatch):
    what = quantize.plan(smollm, "q8_0", tmp_path / "x.gguf")

    def stop(at, of):
        if at > 20:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        quantize.quantize(smollm, what, stop)
    assert list(tmp_path.iterdir()) == []
    monkeypatch.setattr(quantize, "free_bytes", lambda _: 1000)
    with pytest.raises(KrukError, match="of disk"):
        quantize.quantize(smollm, what, lambda *_: None)
    assert list(tmp_path.iterdir()) == []


def test_what_llama_cpp_refuses_is_told(home, tmp_path):
    """Nothing of a model that llama.cpp cannot read hurts this process."""
    path = files.write(tmp_path / "odd.gguf", files.model(general__architecture="nothing-known"))
    result = run(path, "q8_0")

    assert result.exit_code == 1
    assert "llama.cpp could not quantise `odd.gguf`" in result.stderr
    assert not paths.models_dir().exists()


@pytest.mark.parametrize("name", ["Tiny-Coder-F16.gguf", "Tiny-Coder.own-f16.gguf", "Tiny-Coder.gguf"])
def test_the_name_of_the_result_says_what_it_is_now(home, tmp_path, name):
    located = registry.locate(str(files.write(tmp_path / name, files.model())))
    assert default_target(located, "Q4_K_M") == paths.models_dir() / "Tiny-Coder.own-q4_k_m.gguf"


@pytest.mark.parametrize("name", ["q9_0", "iq1_s"])
def test_types_that_there_are_not(home, tmp_path, name):
    path = files.write(tmp_path / "m.gguf", files.model())
    result = run(path, name)
    assert result.exit_code == 1 and "Q4_K_M" in result.stderr
