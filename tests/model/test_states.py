"""Saved states on real weights: what comes back is what was there, and nothing else gets in."""

import pytest

from lsp_server.model.base import BRANCH, CHAT, COMPLETION, SavedState
from lsp_server.model.states import States
from lsp_server.paths import CacheFolder
from tests.conftest import run
from tests.model.real_engine import divergence, forget_logits, load

pytestmark = pytest.mark.model

TEXT = "".join(f"def f{i}(a, b):\n    return a * {i} + b\n\n\n" for i in range(40))
OTHER = "The quick brown fox jumps over the lazy dog. " * 20
N_CTX, N_IDS = 512, 200


@pytest.fixture
def folder(home):
    return CacheFolder("states", 1 << 30)


def forget(model):
    for sequence in (COMPLETION, CHAT, BRANCH):
        model.evaluate(sequence, [0])


def fresh(model, ids):
    """Logits after `ids`, with nothing there before; the last token by itself, as after a restored state."""
    forget(model)
    model.evaluate(COMPLETION, ids[:-1])
    model.evaluate(COMPLETION, ids)
    return model.logits().copy()


def divergence_now(model, ids, expected):
    """How far the logits after `ids` are from those expected, when one token at most had to be evaluated."""
    forget_logits(model)
    assert model.evaluate(COMPLETION, ids).n_evaluated == 1
    return divergence(expected, model.logits().copy())


def test_a_restored_state_is_what_was_there(qwen):
    ids = qwen.tokenize(TEXT)[:N_IDS]
    expected = fresh(qwen, ids)
    state = qwen.save(COMPLETION)
    assert state.token_ids == tuple(ids)
    qwen.evaluate(COMPLETION, qwen.tokenize(OTHER)[:50])
    qwen.evaluate(CHAT, qwen.tokenize(OTHER)[:20])
    assert qwen.restore(COMPLETION, state)
    assert divergence_now(qwen, ids, expected) < 1e-3


def test_another_process_goes_on_where_this_one_ended(qwen, folder, default_model):
    """Another Llama with another context size, and nothing but the folder in common."""
    ids = qwen.tokenize(TEXT)[:N_IDS]
    expected = fresh(qwen, ids)
    run(States(folder).flush(qwen))
    other = load(default_model, 2 * N_CTX)
    try:
        assert States(folder).prepare(other, COMPLETION, ids) == len(ids)
        assert divergence_now(other, ids, expected) < 1e-3
    finally:
        other.close()


@pytest.mark.parametrize("n_kept", [1, 77, N_IDS - 1])
def test_it_can_be_cut_and_continued(smollm, n_kept):
    ids = smollm.tokenize(TEXT)[:N_IDS]
    cut = [*ids[:n_kept], smollm.tokenize("x")[0]]
    expected = fresh(smollm, cut)
    smollm.evaluate(COMPLETION, ids)
    state = smollm.save(COMPLETION)
    smollm.evaluate(COMPLETION, [0])
    assert smollm.restore(COMPLETION, state)
    assert divergence_now(smollm, cut, expected) < 1e-3


def test_shared_cells_are_saved_and_left_alone(smollm):
    """A branch shares its cells with the trunk: saving, losing and restoring the trunk leaves it what it was."""
    ids = smollm.tokenize(TEXT)[:N_IDS]
    forget(smollm)
    smollm.evaluate(COMPLETION, ids)
    smollm.copy(COMPLETION, BRANCH, 100)
    trunk, branch = smollm.save(COMPLETION), smollm.save(BRANCH)
    assert (len(trunk.token_ids), len(branch.token_ids)) == (N_IDS, 100)
    smollm.evaluate(COMPLETION, smollm.tokenize(OTHER)[:100])
    assert smollm.restore(COMPLETION, trunk)
    assert smollm.save(COMPLETION) == trunk
    assert smollm.save(BRANCH) == branch


def test_a_restored_state_takes_the_room_of_others(smollm):
    ids = smollm.tokenize(TEXT)[:N_IDS]
    forget(smollm)
    smollm.evaluate(COMPLETION, ids)
    state = smollm.save(COMPLETION)
    smollm.evaluate(COMPLETION, [0])
    smollm.evaluate(CHAT, smollm.tokenize(TEXT)[: N_CTX - N_IDS // 2])
    assert smollm.restore(COMPLETION, state)
    assert smollm.evaluate(COMPLETION, ids).n_evaluated == 1
    assert smollm.evaluate(CHAT, ids[:10]).n_evaluated == 10


def test_what_is_larger_than_the_cache_stays_out(smollm):
    ids = smollm.tokenize(TEXT)[:300]
    forget(smollm)
    smollm.evaluate(COMPLETION, ids)
    state = smollm.save(COMPLETION)
    smaller = load(smollm.info.path, 256)
    try:
        smaller.evaluate(COMPLETION, ids[:20])
        assert not smaller.restore(COMPLETION, state)
        assert smaller.evaluate(COMPLETION, ids[:20]).n_evaluated == 20
    finally:
        smaller.close()


def test_half_a_state_leaves_an_empty_sequence(smollm):
    ids = smollm.tokenize(TEXT)[:N_IDS]
    smollm.evaluate(COMPLETION, ids)
    state = smollm.save(COMPLETION)
    assert not smollm.restore(COMPLETION, SavedState(state.token_ids, state.data[: len(state.data) // 2]))
    assert smollm.evaluate(COMPLETION, ids).n_evaluated == len(ids)


def test_a_flipped_byte_is_evaluated_anew(smollm, folder):
    ids = smollm.tokenize(TEXT)[:N_IDS]
    forget(smollm)
    smollm.evaluate(COMPLETION, ids)
    run(States(folder).flush(smollm))
    path = folder.at(folder.names()[0])
    raw = bytearray(path.read_bytes())
    raw[len(raw) // 2] ^= 0x40
    path.write_bytes(raw)
    forget(smollm)
    assert States(folder).prepare(smollm, COMPLETION, ids) == 0
    assert folder.names() == []
    assert smollm.evaluate(COMPLETION, ids).n_evaluated == len(ids)


def test_another_models_state_is_refused(qwen, smollm, folder):
    ids = smollm.tokenize(TEXT)[:N_IDS]
    forget(smollm)
    smollm.evaluate(COMPLETION, ids)
    run(States(folder).flush(smollm))
    forget(qwen)
    assert States(folder).prepare(qwen, COMPLETION, ids) == 0
    foreign = folder.at(folder.names()[0])
    foreign.rename(foreign.with_name(foreign.name.replace(smollm.state_key.hex()[:16], qwen.state_key.hex()[:16])))
    assert States(folder).prepare(qwen, COMPLETION, ids) == 0
    assert folder.names() == []


def test_a_sliding_window(gemma):
    """Within the window a state is whole; beyond it the old cells are not in it, and so there is none."""
    ids = gemma.tokenize(TEXT)
    cut = [*ids[:77], gemma.tokenize("x")[0]]
    forget(gemma)
    gemma.evaluate(COMPLETION, ids[:N_IDS])
    state = gemma.save(COMPLETION)
    gemma.evaluate(COMPLETION, cut)
    in_place = gemma.logits().copy()
    gemma.evaluate(COMPLETION, [0])
    assert gemma.restore(COMPLETION, state)
    assert divergence_now(gemma, cut, in_place) < 1e-3
    gemma.evaluate(COMPLETION, ids[:600])
    assert gemma.save(COMPLETION) is None
