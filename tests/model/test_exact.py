"""What is reused equals what is evaluated afresh, whatever happened in between: on real weights."""

import asyncio
import random

import pytest

from lsp_server import settings
from lsp_server.completion import idle
from lsp_server.completion import job as job_module
from lsp_server.completion.job import Flight
from lsp_server.completion.memory import Memory
from lsp_server.completion.pipeline import complete
from lsp_server.completion.request import CompletionRequest
from lsp_server.completion.trace import Trace
from lsp_server.model.base import BRANCH, COMPLETION, NEAR, SPARE
from lsp_server.model.worker import Urgency, Worker, persist
from lsp_server.text import Document
from tests.model.real_engine import divergence, forget_logits, load

pytestmark = pytest.mark.model

SETTINGS = settings.read({"completion": {"debounceMs": 0, "maxTokens": 8}, "context": {"budgetTokens": 128}}).settings
TYPED = ("x", "\n    ", "return ", "self.", "value", " = ", "(", ")", "# ü\n", "    if a:\n        b()\n")
PIECES = (3, 8, 64)
FRESH = SPARE  # the sequence that is compared with; what it held itself is checked first


@pytest.fixture(scope="module")
def worker(default_model):
    worker = Worker(lambda _: None)
    worker.load(lambda tell, keep_on: load(default_model, 1024))
    yield worker
    worker.close()


def compare(sequence):
    """Make a job: how far reused logits are from fresh ones, and how far fresh ones are from each other.

    Reused are those that a request would get, which may be remembered, and those of the KV cache itself.

    A batch of another size rounds otherwise, so the same tokens evaluated in pieces of several sizes give the
    measure of what is rounding; a wrong cell is no matter of rounding.
    """

    def start(model):
        held = list(model.held(sequence))
        if len(held) < 2:
            return None
        yield from persist(lambda: model.evaluate(sequence, held))
        reused = [model.logits().copy()]
        forget_logits(model)
        yield from persist(lambda: model.evaluate(sequence, held))
        reused.append(model.logits().copy())
        fresh = []
        for size in PIECES:
            yield from persist(lambda: model.evaluate(FRESH, [held[0] + 1]))
            for end in [*range(size, len(held) - 1, size), len(held) - 1, len(held)]:
                yield from persist(lambda end=end: model.evaluate(FRESH, held[:end]))
            fresh.append(model.logits().copy())
        distance = max(min(divergence(row, one) for row in fresh) for one in reused)
        return distance, max(divergence(p, q) for p in fresh for q in fresh)

    return start


def is_rounding(distance, rounding):
    """Three samples say roughly how large rounding is: up to three times that much is no more than rounding."""
    return distance < max(1e-3, 3 * rounding)


async def test_a_wrong_cell_is_told_from_rounding(worker):
    def spoil(model):
        ids = model.tokenize("def add(first, second):\n    return first +")
        other = model.tokenize("def sub(first, second):\n    return first -")
        yield from persist(lambda: model.evaluate(COMPLETION, other))
        model._held[COMPLETION][:] = ids  # what a broken mirror would be
        forget_logits(model)

    await asyncio.wrap_future(worker.submit(Urgency.CHAT, spoil))
    assert not is_rounding(*await asyncio.wrap_future(worker.submit(Urgency.CHAT, compare(COMPLETION))))


@pytest.mark.parametrize(("seed", "worth_waiting", "used"), [(1, 2.5, {COMPLETION}), (2, 0.5, {COMPLETION, NEAR})])
async def test_after_any_script_of_edits_moves_aborts_and_requests(worker, monkeypatch, seed, worth_waiting, used):
    monkeypatch.setattr(job_module, "WORTH_WAITING", worth_waiting)  # less: near prompts, in so small files too
    rng = random.Random(seed)
    memory = Memory()
    lines = [f"def function_{i}(a, b={i}):\n    return a + b * {i}\n\n\n" for i in range(12)]
    texts = {"file:///a.py": "".join(lines), "file:///b.py": "".join(reversed(lines))}
    uri, at, undo = "file:///a.py", 300, []
    for _ in range(40):
        text = texts[uri]
        what = rng.choice(("type", "type", "type", "delete", "move", "jump", "switch", "undo", "ask", "ask", "warm"))
        if what == "type":
            undo.append((uri, text, at))
            word = rng.choice(TYPED)
            texts[uri], at = text[:at] + word + text[at:], at + len(word)
        elif what == "delete":
            undo.append((uri, text, at))
            n = min(at, rng.randrange(1, 9))
            texts[uri], at = text[: at - n] + text[at:], at - n
        elif what == "move":
            at = max(0, min(len(text), at + rng.randrange(-60, 60)))
        elif what == "jump":
            at = rng.randrange(len(text))
        elif what == "switch":
            uri = rng.choice(list(texts))
            at = rng.randrange(len(texts[uri]))
        elif what == "undo" and undo:
            uri, texts[uri], at = undo.pop()
        request = CompletionRequest(Document(uri, "python", 1, texts[uri]), at, uri[-4:], "invoked")
        if what == "warm":
            await idle.warm(request, SETTINGS, worker, memory)
        if what == "ask":
            flight = Flight(request, Trace(1, uri, "invoked"))
            task = asyncio.ensure_future(complete(flight, SETTINGS, worker, memory))
            if rng.random() < 0.5:
                await asyncio.sleep(rng.random() * 0.3)
                task.cancel()
            await asyncio.wait({task})
            if not task.cancelled() and flight.outcome:
                await asyncio.gather(*idle.branches(flight.outcome, worker, memory))
                await idle.prepare_spare(flight.outcome, SETTINGS, worker, memory)
    if memory.warming and not memory.warming.cancelled():
        await asyncio.wrap_future(memory.warming)
    compared = set()
    for sequence in (SPARE, COMPLETION, NEAR, BRANCH):
        found = await asyncio.wrap_future(worker.submit(Urgency.CHAT, compare(sequence)))
        if found:
            assert is_rounding(*found), sequence
            compared.add(sequence)
    assert used <= compared
