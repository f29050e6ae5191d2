"""The model's thread: what goes first, what is interrupted, what is kept."""

import threading

import pytest

from lsp_server.errors import ModelLoadError, ServerError
from lsp_server.model.base import CHAT, COMPLETION
from lsp_server.model.fake import FakeModel, Gate, saying
from lsp_server.model.generate import Prompt, generate
from lsp_server.model.worker import Status, Urgency, Worker, persist


@pytest.fixture
def gate():
    return Gate()


@pytest.fixture
def statuses():
    return []


@pytest.fixture
def worker(gate, statuses):
    worker = Worker(statuses.append)
    worker.load(lambda tell, keep_on: FakeModel(saying("abcdef"), gate=gate))
    worker.submit(Urgency.COMPLETION, _one).result(5)
    yield worker
    gate.open()
    worker.close()


def _one(model):
    yield from persist(lambda: model.evaluate(COMPLETION, [1]))
    return "done"


def _talk(model):
    return generate(model, CHAT, Prompt(tuple(b"<|im_start|>assistant\n")), 50, lambda _: False)


def wait_for(gate, n=1):
    ended = threading.Event()
    while gate.n_waiting < n:
        ended.wait(0.002)


def test_an_urgent_job_cuts_in_and_the_other_goes_on(worker, gate):
    order = []
    gate.close()
    slow = worker.submit(Urgency.CHAT, _talk)
    slow.add_done_callback(lambda _: order.append("chat"))
    wait_for(gate)
    quick = worker.submit(Urgency.COMPLETION, _one)
    quick.add_done_callback(lambda _: order.append("completion"))
    gate.open()
    assert quick.result(5) == "done"
    assert slow.result(5).text == "abcdef"
    assert order == ["completion", "chat"]


def test_a_less_urgent_job_waits(worker, gate):
    gate.close()
    first = worker.submit(Urgency.COMPLETION, _one)
    wait_for(gate)
    second = worker.submit(Urgency.WARM, _one)
    gate.let(1)
    first.result(5)
    assert not second.done()
    gate.open()
    assert second.result(5) == "done"


def test_what_may_be_asked_next_goes_before_a_chat(worker, gate, statuses):
    order = []
    gate.close()
    chat = worker.submit(Urgency.CHAT, _talk)
    chat.add_done_callback(lambda _: order.append("chat"))
    wait_for(gate)
    ahead = worker.submit(Urgency.PREFETCH, _one)
    ahead.add_done_callback(lambda _: order.append("ahead"))
    warm = worker.submit(Urgency.WARM, _one)
    n_said = len(statuses)
    gate.open()
    assert warm.result(5) == "done"
    assert order == ["ahead", "chat"]
    assert chat.done() and [it.state for it in statuses[n_said:]] in ([], ["ready"])  # busy until the chat is over


def test_cancelling_stops_a_job_at_once(worker, gate):
    gate.close()
    job = worker.submit(Urgency.CHAT, _talk)
    wait_for(gate)
    assert job.cancel()
    while gate.n_waiting:
        pass
    gate.open()
    assert worker.submit(Urgency.CHAT, _one).result(5) == "done"


def test_a_job_that_fails_fails_alone(worker):
    def broken(model):
        yield
        raise ZeroDivisionError

    job = worker.submit(Urgency.COMPLETION, broken)
    with pytest.raises(ZeroDivisionError):
        job.result(5)
    assert worker.submit(Urgency.COMPLETION, _one).result(5) == "done"


def test_another_model_begins_waiting_jobs_anew(worker, gate):
    gate.close()
    job = worker.submit(Urgency.CHAT, _talk)
    wait_for(gate)
    worker.load(lambda tell, keep_on: FakeModel(saying("another")))
    assert job.result(5).text == "another"


def test_a_model_that_does_not_load_fails_every_job_with_its_reason(statuses):
    worker = Worker(statuses.append)

    def fail(tell, keep_on):
        raise ModelLoadError("no good", "Take another")

    worker.load(fail)
    with pytest.raises(ModelLoadError, match=r"no good\. Take another"):
        worker.submit(Urgency.COMPLETION, _one).result(5)
    assert statuses[-1].state == "error"
    worker.close()


def test_closing_while_loading(statuses):
    worker = Worker(statuses.append)
    started = threading.Event()

    def slow(tell, keep_on):
        started.set()
        while keep_on():
            threading.Event().wait(0.005)
        raise ModelLoadError("stopped")

    worker.load(slow)
    started.wait(5)
    job = worker.submit(Urgency.COMPLETION, _one)
    worker.close()
    assert job.cancelled()


def test_the_states(worker, gate, statuses):
    gate.close()
    job = worker.submit(Urgency.COMPLETION, _one)
    wait_for(gate)
    gate.open()
    job.result(5)
    worker.close()
    states = [status.state for status in statuses]
    assert states[0] == "loading"
    assert [state for state, before in zip(states[1:], states, strict=False) if state != before][:3] == [
        "ready",
        "busy",
        "ready",
    ]


def test_work_that_nobody_waits_for_is_work_too(worker, gate):
    """The index must not take a core from it: the model would be slow, and learn that one thread is best."""
    gate.close()
    warming = worker.submit(Urgency.WARM, _one)
    wait_for(gate)
    assert worker.is_at_work
    assert worker.status.state == "ready"
    gate.open()
    warming.result(5)
    ended = threading.Event()
    while worker.is_at_work:
        ended.wait(0.002)


def test_a_lost_server_is_looked_for_when_somebody_asks(gate, statuses):
    """Every load ends, and a job that nobody waits for begins none."""
    there, n_loads = [True], []

    def load(tell, keep_on):
        n_loads.append(1)
        if not there[0]:
            raise ServerError("no server", "Start it")
        return FakeModel(saying("abcdef"), gate=gate)

    def lose(model):
        yield
        raise ServerError("it is gone")

    worker = Worker(statuses.append)
    worker.load(load)
    assert worker.submit(Urgency.CHAT, _talk).result(5).text == "abcdef"
    gate.close()
    waits = worker.submit(Urgency.WARM, _talk)
    wait_for(gate)
    with pytest.raises(ServerError, match="it is gone"):
        worker.submit(Urgency.COMPLETION, lose).result(5)
    with pytest.raises(ServerError, match="it is gone"):
        waits.result(5)
    assert worker.model is None and worker.status == Status("error", "it is gone")
    there[0] = False
    with pytest.raises(ServerError, match="it is gone"):
        worker.submit(Urgency.PREFETCH, _talk).result(5)
    assert len(n_loads) == 1
    with pytest.raises(ServerError, match="no server"):
        worker.submit(Urgency.COMPLETION, _talk).result(5)
    there[0] = True
    gate.open()
    assert worker.submit(Urgency.COMPLETION, _talk).result(5).text == "abcdef"
    assert worker.status.state in ("ready", "busy")
    worker.close()


def _say(model):
    return (yield from _talk(model)).text


def test_chat_has_a_model_of_its_own_that_is_loaded_when_it_is_needed(worker, statuses):
    worker.load_chat(lambda tell, keep_on: FakeModel(saying("own")))
    assert worker.chat_model is None
    assert worker.submit(Urgency.WARM, _say).result(5) == "abcdef"
    assert not any("chat" in status.message for status in statuses)
    assert worker.submit(Urgency.CHAT, _say).result(5) == "own"
    assert any("chat" in status.message for status in statuses)
    assert worker.status.state != "loading"
    assert worker.submit(Urgency.COMPLETION, _say).result(5) == "abcdef"
    worker.load_chat(None)
    assert worker.submit(Urgency.CHAT, _say).result(5) == "abcdef"


def test_a_chat_on_a_model_of_its_own_gives_way_to_a_completion(worker, gate):
    order = []
    worker.load_chat(lambda tell, keep_on: FakeModel(saying("own"), gate=gate))
    gate.close()
    slow = worker.submit(Urgency.CHAT, _say)
    slow.add_done_callback(lambda _: order.append("chat"))
    wait_for(gate)
    quick = worker.submit(Urgency.COMPLETION, _one)
    quick.add_done_callback(lambda _: order.append("completion"))
    gate.open()
    assert (quick.result(5), slow.result(5), order) == ("done", "own", ["completion", "chat"])


def test_another_chat_model_begins_the_chat_again(worker, gate):
    worker.load_chat(lambda tell, keep_on: FakeModel(saying("first"), gate=gate))
    gate.close()
    answer = worker.submit(Urgency.CHAT, _say)
    wait_for(gate)
    worker.load_chat(lambda tell, keep_on: FakeModel(saying("second")))
    gate.open()
    assert answer.result(5) == "second"


def test_a_chat_model_that_does_not_load_leaves_completions_alone(worker):
    def load(tell, keep_on):
        raise ModelLoadError("too large", "Choose a smaller one")

    worker.load_chat(load)
    with pytest.raises(ModelLoadError, match="too large"):
        worker.submit(Urgency.CHAT, _say).result(5)
    assert worker.submit(Urgency.COMPLETION, _one).result(5) == "done"
    worker.load_chat(lambda tell, keep_on: FakeModel(saying("small")))
    assert worker.submit(Urgency.CHAT, _say).result(5) == "small"
