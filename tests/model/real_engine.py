"""What the tests of the engine share."""

import numpy as np

from lsp_server.model import memory, registry


def load(path, n_ctx, n_threads=None, adapters=()):
    """Load a model; with `n_threads` 0 it chooses by measuring."""
    from lsp_server.model import llama

    n_threads = memory.default_threads() if n_threads is None else n_threads
    return llama.load(registry.locate(str(path)), n_ctx, n_threads, lambda _: None, lambda: True, adapters)


def divergence(p_logits, q_logits):
    """KL divergence in nats between two rows of logits."""
    p, q = (row.astype(np.float64) - row.max() for row in (p_logits, q_logits))
    p, q = (row - np.log(np.exp(row).sum()) for row in (p, q))
    return float((np.exp(p) * (p - q)).sum())


def forget_logits(model):
    """Let the next evaluation ask the KV cache."""
    model._rows = type(model._rows)(model.info.n_vocab)
