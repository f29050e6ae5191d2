"""Turns between processes: one at a time, fair, and never in the way when they cannot work."""

import subprocess
import sys
import threading
from types import SimpleNamespace

import pytest

from lsp_server.model import turns
from lsp_server.model.base import COMPLETION
from lsp_server.model.fake import FakeModel, Gate, saying
from lsp_server.model.turns import PATIENCE_S, QUANTUM_S, Turns
from lsp_server.model.worker import Urgency, Worker, persist


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "turns"


@pytest.fixture
def clock(monkeypatch):
    clock = SimpleNamespace(now=0.0)
    monkeypatch.setattr(turns, "time", SimpleNamespace(monotonic=lambda: clock.now))
    return clock


def test_one_at_a_time(folder):
    one, two = Turns(folder), Turns(folder)
    assert one.take(True)
    assert not two.take(True)
    one.give()
    assert two.take(True)
    assert not one.take(True)


def test_who_waits_is_next_however_often_the_other_asks(folder, clock):
    one, two = Turns(folder), Turns(folder)
    assert one.take(True)
    assert not two.take(True)
    assert one.take(True)  # its quantum is not over
    clock.now += QUANTUM_S
    assert not one.take(True)
    assert not one.take(True)
    assert two.take(True)
    assert not one.take(True)
    clock.now += QUANTUM_S
    assert not two.take(True)
    assert one.take(True)


def test_nobody_waits_longer_for_a_turn_that_nobody_wants(folder, clock):
    one, two = Turns(folder), Turns(folder)
    one.take(True)
    clock.now += 100 * QUANTUM_S
    assert one.take(True)
    two.take(True)
    two.give()  # it has changed its mind
    assert one.take(True)


def test_work_that_nobody_waits_for_yields_at_once_and_does_not_queue(folder, clock):
    idle, busy, third = Turns(folder), Turns(folder), Turns(folder)
    assert idle.take(False)
    assert not busy.take(True)
    assert not idle.take(False)
    assert busy.take(True)
    assert not idle.take(False)
    clock.now += 2 * QUANTUM_S
    assert busy.take(True)  # `idle` is not in the queue
    assert not third.take(True)
    busy.give()
    assert not idle.take(False)  # `third` is before it
    assert third.take(True)
    third.give()
    assert idle.take(False)


def test_a_long_evaluation_that_nobody_waits_for_is_aborted(folder):
    idle, busy = Turns(folder), Turns(folder)
    is_aborted = threading.Event()
    assert idle.take(False)
    with idle.lending(is_aborted.set):
        assert not busy.take(True)
        assert is_aborted.wait(5)
    assert not idle.take(False)


def test_a_process_that_dies_gives_its_turn_back(folder):
    code = f"from pathlib import Path; from lsp_server.model.turns import Turns; t = Turns(Path({str(folder)!r}))\n"
    code += "assert t.take(True); print('taken', flush=True); input()"
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        other.stdout.readline()
        turns = Turns(folder)
        assert not turns.take(True)
        other.kill()
        other.wait()
        assert turns.take(True)


def test_a_process_that_was_stopped_does_not_stop_the_others(folder, clock):
    stopped, one = Turns(folder), Turns(folder)
    stopped.take(True)
    assert not one.take(True)
    clock.now += PATIENCE_S
    assert one.take(True)
    one.give()
    assert not one.take(False)  # what nobody waits for goes on waiting
    assert one.take(True)  # what somebody waits for does not wait again
    one.give()
    stopped.give()
    assert one.take(True)
    one.give()
    stopped.take(True)
    assert not one.take(True)  # all is well again


def test_idle_time_does_not_count_as_waiting(folder, clock):
    busy, one = Turns(folder), Turns(folder)
    busy.take(True)
    assert not one.take(False)
    clock.now += 2 * PATIENCE_S
    assert not one.take(True)


def test_without_locks_everybody_works(tmp_path):
    (tmp_path / "file").write_text("")
    for folder in (None, tmp_path / "file" / "turns"):
        one, two = Turns(folder), Turns(folder)
        assert one.take(True)
        assert two.take(False)
        one.give()


def test_locks_that_stop_working_are_left(folder, monkeypatch):
    one, two = Turns(folder), Turns(folder)
    assert one.take(True)

    def fail(self):
        raise OSError("no locks available")

    monkeypatch.setattr(turns._Lock, "try_take", fail)
    assert two.take(True)
    two.give()


# -- with the worker --------------------------------------------------------------------------------------


@pytest.fixture
def gate():
    return Gate()


@pytest.fixture
def worker(folder, gate):
    worker = Worker(lambda _: None, Turns(folder))
    worker.load(lambda tell, keep_on: FakeModel(saying("abc"), gate=gate))
    yield worker
    gate.open()
    worker.close()


def _evaluate(model):
    yield from persist(lambda: model.evaluate(COMPLETION, [1]))
    return "done"


def _take(other):
    moment = threading.Event()
    while not other.take(True):
        moment.wait(0.001)


def test_the_turn_is_given_back_when_there_is_nothing_to_do(folder, worker):
    assert worker.submit(Urgency.COMPLETION, _evaluate).result(5) == "done"
    _take(Turns(folder))


def test_a_job_waits_for_its_turn_and_can_be_cancelled_there(folder, worker):
    other = Turns(folder)
    _take(other)
    waiting, cancelled = (worker.submit(Urgency.COMPLETION, _evaluate) for _ in range(2))
    begun = []

    def begin(model):
        begun.append(1)
        return _evaluate(model)

    third = worker.submit(Urgency.COMPLETION, begin)
    assert third.cancel()
    assert cancelled.cancel()
    other.give()
    assert waiting.result(5) == "done"
    assert not begun


def test_warming_makes_room_for_another_process_and_goes_on_later(folder, worker, gate):
    gate.close()
    warming = worker.submit(Urgency.WARM, _evaluate)
    while not gate.n_waiting:
        pass
    other = Turns(folder)
    _take(other)
    gate.open()
    assert not warming.done()
    other.give()
    assert warming.result(5) == "done"
