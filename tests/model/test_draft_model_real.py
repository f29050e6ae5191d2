"""Drafts by a real small model for a real larger one: the same tokens with and without, stopped at once, freed."""

import threading
import time

import psutil
import pytest

from lsp_server.chat.template import Message, tokens
from lsp_server.cli import draft_trial
from lsp_server.completion.prompt import Parts, build
from lsp_server.errors import ModelLoadError
from lsp_server.model import quantize, registry
from lsp_server.model.base import CHAT, COMPLETION, Aborted
from lsp_server.model.draft_model import DraftModel
from lsp_server.model.generate import Prompt, generate
from tests.conftest import real_model, run
from tests.model.real_engine import load

pytestmark = pytest.mark.model

N_CTX = 1024
ROUNDING = 0.1
BOTH = ("completion", "chat")
CODE = '''class Stack:
    """Items, of which the newest comes first."""

    def __init__(self):
        self.items = []

    def push(self, item):
        self.items.append(item)

    def pop(self):
        '''


@pytest.fixture(scope="module")
def large(default_model, tmp_path_factory):
    """The default model in eight bits: the vocabulary is the same, the weights are not."""
    located = registry.locate(str(default_model))
    path = tmp_path_factory.mktemp("large") / "q8_0.gguf"
    quantize.quantize(located, quantize.plan(located, "q8_0", path), lambda *_: None)
    model = load(path, N_CTX)
    yield model
    model.close()


@pytest.fixture
def small(default_model, large):
    model = load(default_model, N_CTX)
    yield model
    model.close()
    large.draft_model = None


def say(model, sequence, prompt, n):
    """Say it anew, without what is held; the steps."""
    model.evaluate(sequence, [*prompt.token_ids[:-1], prompt.token_ids[0]])
    return run(generate(model, sequence, prompt, n, lambda _: False)).steps


def assert_alike(plain, drafted):
    """The same tokens, up to where two are equally likely but for rounding: another batch size rounds otherwise."""
    for one, other in zip(plain, drafted, strict=True):
        if one.token_id != other.token_id:
            assert one.rival_id == other.token_id
            assert one.logprob - one.rival_logprob < ROUNDING
            return


def test_the_same_tokens_with_and_without(large, small):
    question = Message("user", f"What does this do?\n```python\n{CODE}...\n```")
    for sequence, prompt in (
        (COMPLETION, build(large, Parts(CODE, "", "\n\n    def peek(self):\n        return self.items[-1]\n"), 32)),
        (CHAT, Prompt(tuple(tokens(large, [question])))),
    ):
        large.draft_model = None
        plain = say(large, sequence, prompt, 32)
        large.draft_model = DraftModel(small, large, BOTH, n_always=3)
        assert_alike(plain, say(large, sequence, prompt, 32))
        assert large.draft_model.n_right > 0.4 * large.draft_model.n_said > 0


def test_an_abort_stops_the_small_model_too(large, small):
    large.draft_model = DraftModel(small, large, BOTH, n_always=3)
    ids = small.tokenize(CODE * 12)
    threading.Timer(0.05, large.abort).start()
    with pytest.raises(Aborted):
        large.draft_model.follow(CHAT, ids)
    assert len(small.held(CHAT)) < len(ids)
    large.allow()
    large.draft_model.follow(CHAT, ids)
    assert list(small.held(CHAT)) == ids


def test_other_vocabularies_are_refused(large, small):
    other = load(real_model("smollm2-135m-instruct"), 256)
    with pytest.raises(ModelLoadError, match="has another vocabulary than"):
        DraftModel(other, large, BOTH)
    other.close()


def test_measuring(default_model, large, monkeypatch):
    monkeypatch.setattr(draft_trial, "N_TOKENS", 16)
    found = draft_trial._work({"model": str(large.info.path), "draftModel": str(default_model), "contextSize": N_CTX})
    assert set(found) == {"completion", "chat"}
    for speeds in found.values():
        assert speeds["alone"] > 0 < speeds["drafted"]
        assert 0.4 * speeds["n_said"] < speeds["n_right"] <= speeds["n_said"]


def test_both_are_freed_together(default_model):
    def resident():
        return psutil.Process().memory_info().rss

    load(default_model, N_CTX).close()  # what stays for good is there now
    before = resident()
    model = load(default_model, N_CTX)
    model.draft_model = DraftModel(load(default_model, N_CTX), model, BOTH)
    n_bytes = resident() - before
    model.close()
    deadline = time.monotonic() + 10
    while resident() - before > 0.2 * n_bytes and time.monotonic() < deadline:
        time.sleep(0.05)
    assert resident() - before < 0.2 * n_bytes
