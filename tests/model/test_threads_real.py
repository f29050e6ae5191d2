"""The number of threads on real weights: chosen once, and changed without harm to what is evaluated."""

import numpy as np
import pytest

from lsp_server.model import memory
from lsp_server.model.base import COMPLETION
from tests.model.real_engine import load

pytestmark = pytest.mark.model


def test_threads_are_chosen_and_changed_while_evaluating(default_model, home):
    model = load(default_model, 512, n_threads=0)
    try:
        assert 1 <= model.info.n_threads <= memory.default_threads()
        ids = model.tokenize("def add(a, b):\n    return a + b\n" * 3)
        model.evaluate(COMPLETION, ids)
        before = model.logits().copy()
        model.evaluate(COMPLETION, [0])
        told = iter([1, None, memory.default_threads(), 1])
        model._threads.told = lambda n_tokens, ms: next(told, None)
        for n in range(1, len(ids) + 1):
            model.evaluate(COMPLETION, ids[:n])
        assert np.abs(model.logits() - before).max() < 0.5
        assert model.logits().argmax() == before.argmax()
    finally:
        model.close()
