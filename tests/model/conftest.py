"""Real models in this process; a module says in N_CTX how many tokens their context has."""

import pytest

from tests.conftest import real_model
from tests.model.real_engine import load


@pytest.fixture(scope="module")
def qwen(default_model, request):
    model = load(default_model, request.module.N_CTX)
    yield model
    model.close()


@pytest.fixture(scope="module")
def smollm(request):
    model = load(real_model("smollm2-135m-instruct"), request.module.N_CTX)
    yield model
    model.close()


@pytest.fixture(scope="module")
def gemma():
    """A SentencePiece vocabulary, and layers with a sliding window."""
    model = load(real_model("gemma-3-270m"), 1024)
    yield model
    model.close()
