"""A trial of real models, each in a process of its own."""

import pytest

from lsp_server.cli.trial import try_model
from lsp_server.errors import ModelLoadError
from lsp_server.model import memory, registry
from tests import gguf_files as files
from tests.conftest import real_model

N_CTX = 2048


@pytest.mark.model
def test_a_trial_of_a_model_that_fills_in(default_model):
    trial = try_model(str(default_model), N_CTX)
    need = memory.estimate(registry.locate(str(default_model)), N_CTX)

    assert trial.fills_in and trial.text.strip().startswith("a + b")
    assert trial.tokens_per_second > 0
    assert 0.85 < need.total / trial.resident_bytes < 1.2


@pytest.mark.model
def test_a_trial_of_a_model_that_does_not():
    assert not try_model(str(real_model("smollm2-135m-instruct")), N_CTX).fills_in


@pytest.mark.model
def test_a_trial_that_fails_says_so(tmp_path):
    path = files.write(tmp_path / "tiny.gguf", files.model())
    with pytest.raises(ModelLoadError, match="could not load"):
        try_model(str(path), N_CTX)
