"""Remembered logits: found by their tokens, the oldest given up, no more memory than was set."""

import numpy as np

from lsp_server.model.rows import Rows


def row(value, n_vocab=1000):
    return np.full(n_vocab, value, dtype=np.float32)


def test_logits_are_found_by_the_tokens_before_them():
    kept = Rows(1000)
    kept.put([1, 2], row(0.5))
    kept.put([1, 2, 3], row(0.7))
    assert (kept.get([1, 2]) == 0.5).all()
    assert (kept.get((1, 2, 3)) == 0.7).all()
    assert kept.get([1]) is None


def test_the_oldest_makes_room_and_its_place_does_not_answer_for_it():
    n = 3
    kept = Rows(1000, n * 4000)
    for i in range(n + 1):
        kept.put([i], row(i))
    assert kept.get([0]) is None
    assert (kept.get([1]) == 1).all()
    assert (kept.get([n]) == n).all()


def test_what_is_put_again_is_replaced():
    kept = Rows(1000)
    kept.put([1], row(1))
    kept.put([2], row(2))
    kept.put([1], row(3))
    assert (kept.get([1]) == 3).all()
    assert (kept.get([2]) == 2).all()


def test_a_vocabulary_larger_than_the_memory_keeps_one_row():
    kept = Rows(1000, 100)
    kept.put([1], row(1))
    kept.put([2], row(2))
    assert kept.get([1]) is None
    assert (kept.get([2]) == 2).all()
