"""What is made ready while nobody waits: the other suggestion, a new anchor."""

import asyncio
import dataclasses

import pytest

from lsp_server import settings
from lsp_server.completion import idle
from lsp_server.completion.job import Flight
from lsp_server.completion.memory import Memory
from lsp_server.completion.pipeline import complete
from lsp_server.completion.request import CompletionRequest
from lsp_server.completion.trace import Trace
from lsp_server.model.base import COMPLETION, Step
from lsp_server.model.draft_model import DraftModel
from lsp_server.model.fake import FakeModel, knowing
from lsp_server.model.worker import Worker
from lsp_server.text import Document

URI = "file:///nowhere/sample.py"
SETTINGS = settings.read({"completion": {"debounceMs": 0}}).settings


@pytest.fixture
def worker():
    worker = Worker(lambda _: None)
    yield worker
    worker.close()


async def ask(worker, memory, text, offset):
    request = CompletionRequest(Document(URI, "python", 1, text), offset, "sample.py", "invoked")
    flight = Flight(request, Trace(1, URI, "invoked"))
    return flight, await complete(flight, SETTINGS, worker, memory)


async def test_the_second_best_is_ready_for_whoever_types_against_the_best(worker):
    before, after = "def add(a, b):\n    ", "\n\nprint(add(1, 2))\n"
    best, second = "return a + b", "total = a + b"
    worker.load(
        lambda tell, keep_on: FakeModel(
            knowing(before + best + after, before + second + after), second=knowing(before + second + after)
        )
    )
    memory = Memory()
    flight, text = await ask(worker, memory, before + after, len(before))
    assert text == best
    await asyncio.gather(*idle.branches(flight.outcome, worker, memory))
    assert memory.cache.find(URI, before + after, len(before)).text == best
    found = memory.cache.find(URI, before + "t" + after, len(before) + 1)
    assert (found.text, found.is_branch) == (second[1:], True)


def test_only_likely_rivals_are_worth_it():
    steps = [
        Step(1, -0.1, 2, -3.0),
        Step(1, -0.7, 2, -0.9),
        Step(1, -0.1),
        Step(1, -0.8, 2, -1.2),
        Step(1, -1, 2, -1.1),
    ]
    assert idle.undecided(steps) == [1, 4]


async def test_a_new_anchor_is_prepared_before_the_old_one_is_given_up(worker):
    lines = [f"x{i} = {i}\n" for i in range(200)]
    worker.load(lambda tell, keep_on: FakeModel(knowing("".join(lines))))
    memory = Memory()
    typed_to = lambda n: "".join(lines[:n]) + "x"  # noqa: E731
    after = "".join(lines[150:])
    await ask(worker, memory, typed_to(100) + after, len(typed_to(100)))
    await asyncio.wrap_future(memory.warming)
    first = memory.anchors[URI].window.anchor
    flight, _ = await ask(worker, memory, typed_to(108) + after, len(typed_to(108)))
    await idle.prepare_spare(flight.outcome, SETTINGS, worker, memory)
    await asyncio.wrap_future(memory.spare.job)
    assert memory.anchors[URI].window.anchor == first
    flight, _ = await ask(worker, memory, typed_to(109) + after, len(typed_to(109)))
    rooms = {room["room"]: room for room in flight.trace.as_dict()["rooms"]}
    assert rooms["context"]["anchorPrepared"]
    assert memory.anchors[URI].window.anchor > first
    assert rooms["model"]["evaluatedTokens"] <= len("x108 = 108\nx") + 4


async def test_a_model_that_drafts_has_read_the_prompt_before_the_next_request(worker):
    text = "".join(f"x{i} = {i}\n" for i in range(30))
    model, small = FakeModel(knowing(text + "y = 2\n")), FakeModel(knowing(text + "y = 2\n"))
    model.draft_model = DraftModel(small, model, ["completion"])
    model.info = dataclasses.replace(model.info, drafts="drafts pay in completions")
    worker.load(lambda tell, keep_on: model)
    flight, suggested = await ask(worker, Memory(), text + "y", len(text) + 1)
    assert suggested and not small.held(COMPLETION)
    await idle.follow(flight.outcome, worker)
    assert tuple(small.held(COMPLETION)) == flight.outcome.prompt.token_ids
