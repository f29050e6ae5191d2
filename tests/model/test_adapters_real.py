"""LoRA adapters in llama.cpp: what they change, by how much, and what it refuses."""

import json

import pytest

from lsp_server.errors import ModelLoadError
from lsp_server.model.adapters import Adapter
from lsp_server.model.base import COMPLETION
from lsp_server.model.loading import loader_for
from lsp_server.settings import read
from tests import gguf_files as files
from tests.model.real_engine import divergence, load

pytestmark = pytest.mark.model

PROMPT = "def add(a, b):\n    return"


def seen(path, *adapters):
    """Logits after PROMPT, and what states of the model are saved under."""
    model = load(path, 256, adapters=adapters)
    model.evaluate(COMPLETION, model.tokenize(PROMPT))
    found = model.logits().copy(), model.state_key
    model.close()
    return found


def test_an_adapter_counts_as_much_as_its_scale_says(default_model, tmp_path):
    path = files.write(tmp_path / "a.gguf", files.adapter(896))
    without, none, half, whole = (
        seen(default_model, *adapters)
        for adapters in ((), (Adapter(path, 0.0),), (Adapter(path, 10.0),), (Adapter(path, 20.0),))
    )
    changes = [divergence(without[0], changed[0]) for changed in (none, half, whole)]
    assert abs(changes[0]) < 1e-9 and 1e-4 < changes[1] < changes[2]
    assert len({key for _, key in (without, none, half, whole)}) == 4


def test_an_adapter_of_another_size_is_refused(default_model, tmp_path):
    path = files.write(tmp_path / "large.gguf", files.adapter(1536))
    with pytest.raises(ModelLoadError, match=r"could not use the adapter `large\.gguf`"):
        seen(default_model, Adapter(path, 1.0))


def test_a_row_of_the_user_names_a_model_with_its_adapter(default_model, home):
    files.write(home / "a.gguf", files.adapter(896))
    row = {"id": "ours", "model": str(default_model), "adapters": [{"path": "a.gguf", "scale": 10}]}
    files.write(home / "models.json", json.dumps({"adapted": [row]}).encode())
    settings = read({"model": "ours", "contextSize": 512, "threads": 1}).settings
    model = loader_for(settings)(lambda *_: None, lambda: True)
    model.evaluate(COMPLETION, model.tokenize(PROMPT))
    found, name = model.logits().copy(), model.info.name
    model.close()
    assert name == "ours"
    assert divergence(seen(default_model)[0], found) > 1e-4
