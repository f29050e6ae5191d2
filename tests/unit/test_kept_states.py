"""Kept states: which is saved, which is restored, what survives, and what is refused."""

import pytest

from lsp_server.model.base import COMPLETION
from lsp_server.model.fake import FakeModel, saying
from lsp_server.model.states import States, fingerprint
from lsp_server.paths import CacheFolder
from tests.conftest import run

ONE = tuple(range(100, 250)) * 2
TWO = tuple(range(250))
N_BYTES = 4 * len(ONE)  # of the fake model's state


@pytest.fixture
def folder(home):
    return CacheFolder("states", 10_000)


@pytest.fixture
def states(folder):
    return States(folder)


@pytest.fixture
def model():
    return FakeModel(saying(""))


def evaluate(states, model, token_ids):
    """What a completion does; returns how many tokens were there already."""
    states.prepare(model, COMPLETION, token_ids)
    return model.evaluate(COMPLETION, token_ids).n_reused


def restarted(states, model):
    """What the next process has: the same folder, another model object."""
    run(states.flush(model))
    model = FakeModel(saying(""))
    return States(states._folder), model


def test_going_back_to_a_document_costs_one_token(states, model):
    assert evaluate(states, model, ONE) == 0
    assert evaluate(states, model, TWO) == 0
    assert evaluate(states, model, ONE) == len(ONE) - 1
    assert evaluate(states, model, TWO) == len(TWO) - 1


def test_the_state_with_most_of_the_prompt_is_taken(states, model):
    evaluate(states, model, ONE)
    evaluate(states, model, ONE[:100] + TWO)
    evaluate(states, model, TWO)
    assert states.prepare(model, COMPLETION, ONE[:100] + TWO[:90]) == 190


def test_what_is_held_is_not_given_up_for_little(states, model):
    evaluate(states, model, ONE[:210])
    evaluate(states, model, TWO)
    model.evaluate(COMPLETION, ONE[:180])
    assert states.prepare(model, COMPLETION, ONE) == 180  # the kept one has 30 more
    model.evaluate(COMPLETION, ONE[:170])
    assert states.prepare(model, COMPLETION, ONE) == 210


def test_typing_saves_nothing(states, model, monkeypatch):
    monkeypatch.setattr(model, "save", lambda _: pytest.fail("it was saved"))
    evaluate(states, model, ONE[:200])
    for n in range(200, len(ONE)):
        evaluate(states, model, ONE[:n] + (7,) * 40)  # with what was generated, which is given up


def test_a_restart(states, model):
    evaluate(states, model, ONE)
    evaluate(states, model, TWO)
    states, model = restarted(states, model)
    assert evaluate(states, model, ONE) == len(ONE) - 1
    assert evaluate(states, model, TWO) == len(TWO) - 1


def test_a_longer_state_takes_the_place_of_the_shorter(states, model, folder):
    evaluate(states, model, ONE[:150])
    run(states.flush(model))
    evaluate(states, model, ONE)
    run(states.flush(model))
    assert len(folder.names()) == 1
    states, model = restarted(states, model)
    assert evaluate(states, model, ONE) == len(ONE) - 1


def test_flushing_twice_writes_once(states, model, folder, monkeypatch):
    evaluate(states, model, ONE)
    run(states.flush(model))
    monkeypatch.setattr(folder, "write", lambda *_: pytest.fail("it was written"))
    run(states.flush(model))


def test_flushing_lets_others_in_between_two_files(states, model, folder):
    for n in (1, 2, 3):
        evaluate(states, model, (n,) * 100)
    steps = states.flush(model)
    next(steps)
    assert len(folder.names()) == 1
    run(steps)
    assert len(folder.names()) == 3


def test_ram_is_bounded_and_the_last_used_stay(folder, model):
    states = States(None, ram_bytes=2 * N_BYTES)
    for n in range(4):
        evaluate(states, model, (n,) * len(ONE))
    assert states.prepare(model, COMPLETION, (1,) * len(ONE)) == len(ONE)
    assert states.prepare(model, COMPLETION, (0,) * len(ONE)) == 0


def test_what_ram_has_no_room_for_is_read_from_disk(folder, model):
    states = States(folder, ram_bytes=N_BYTES)
    for n in range(4):
        evaluate(states, model, (n,) * len(ONE))
        run(states.flush(model))
    for n in range(4):
        assert states.prepare(model, COMPLETION, (n,) * len(ONE)) == len(ONE)


def test_without_a_folder(model):
    states = States(None)
    evaluate(states, model, ONE)
    run(states.flush(model))
    evaluate(states, model, TWO)
    assert evaluate(states, model, ONE) == len(ONE) - 1


@pytest.mark.parametrize("at", [0, 8, 40, 44, 60, 100, -1], ids=str)
def test_a_flipped_byte_drops_the_file(states, model, folder, at):
    """In the magic, the key, the lengths, the digest, the token ids, the data."""
    evaluate(states, model, ONE)
    run(states.flush(model))
    path = folder.at(folder.names()[0])
    raw = bytearray(path.read_bytes())
    raw[at] ^= 1
    path.write_bytes(raw)
    states, model = States(folder), FakeModel(saying(""))
    assert evaluate(states, model, ONE) == 0
    assert folder.names() == []


@pytest.mark.parametrize("cut", [0, 10, 84, 500, -1])
def test_a_truncated_file_is_dropped(states, model, folder, cut):
    evaluate(states, model, ONE)
    run(states.flush(model))
    path = folder.at(folder.names()[0])
    path.write_bytes(path.read_bytes()[:cut])
    assert evaluate(States(folder), FakeModel(saying("")), ONE) == 0
    assert folder.names() == []


def test_another_model_neither_finds_nor_deletes(states, model, folder):
    evaluate(states, model, ONE)
    run(states.flush(model))
    other = FakeModel(saying(""))
    other.state_key = b"another".ljust(32)
    assert evaluate(states, other, ONE) == 0
    assert len(folder.names()) == 1
    assert evaluate(states, FakeModel(saying("")), ONE) == len(ONE) - 1


def test_a_file_under_another_models_name_is_refused(states, model, folder):
    evaluate(states, model, ONE)
    run(states.flush(model))
    other = FakeModel(saying(""))
    other.state_key = bytes(8) + b"another".ljust(24)  # whose names begin alike
    assert evaluate(States(folder), other, ONE) == 0


def test_a_state_that_the_model_refuses_is_dropped(states, model, folder, monkeypatch):
    evaluate(states, model, ONE)
    states, model = restarted(states, model)
    monkeypatch.setattr(model, "restore", lambda *_: False)
    assert evaluate(states, model, ONE) == 0
    assert folder.names() == []


def test_a_file_that_another_process_deleted(states, model, folder):
    evaluate(states, model, ONE)
    states, model = restarted(states, model)
    states.prepare(model, COMPLETION, TWO)  # it knows the file now
    folder.remove(folder.names()[0])
    assert evaluate(states, model, ONE) == 0


def test_a_folder_that_cannot_be_written(states, model, home):
    (home / "cache").write_text("a file where the folder should be")
    evaluate(states, model, ONE)
    run(states.flush(model))
    evaluate(states, model, TWO)
    assert evaluate(states, model, ONE) == len(ONE) - 1


def test_a_model_whose_sequences_cannot_be_saved(states, model, folder, monkeypatch):
    monkeypatch.setattr(model, "save", lambda _: None)
    evaluate(states, model, ONE)
    evaluate(states, model, TWO)
    run(states.flush(model))
    assert (evaluate(states, model, ONE), folder.names()) == (0, [])


def test_weights_are_told_apart(tmp_path):
    one, two = tmp_path / "one", tmp_path / "two"
    one.write_bytes(bytes(1_000_000))
    two.write_bytes(bytes(500_000) + b"\1" + bytes(499_999))
    assert fingerprint(one) == fingerprint(one)
    assert fingerprint(one) != fingerprint(two)
    before = fingerprint(one)
    one.write_bytes(bytes(1_000_001))
    assert fingerprint(one) != before
