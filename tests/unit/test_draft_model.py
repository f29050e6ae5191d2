"""Drafts by a small model: they change nothing, stop at once, and are made only where that was measured to pay."""

import dataclasses
import json
import threading

import pytest

from lsp_server.cli import doctor, draft_trial
from lsp_server.errors import ModelFileError, ModelLoadError
from lsp_server.model import loading, memory
from lsp_server.model.base import CHAT, COMPLETION, NEAR, Vocabulary
from lsp_server.model.draft import Drafter
from lsp_server.model.draft_model import DraftModel, Records, Speeds, why_not
from lsp_server.model.fake import FakeModel, Gate, saying
from lsp_server.model.generate import Prompt, generate
from lsp_server.model.worker import Urgency, Worker, persist
from lsp_server.settings import read
from tests import gguf_files as files
from tests.conftest import run

TEXT = "First it opens a file, then it reads each line.\nThen it closes the file again, and tells how many it read.\n"
PROMPT = Prompt(tuple(b"<|im_start|>assistant\n"))
CHEAP = {1: 10.0, 2: 11.0, 4: 12.0, 8: 13.0}
BOTH = ("completion", "chat")


class FixedCosts(Drafter):
    """The fake models take no time."""

    def measured(self, width, took_ms):
        pass


def fake(answer, costs=CHEAP, gate=None):
    model = FakeModel(answer, gate=gate)
    model.drafter = FixedCosts(costs)
    return model


def nearly(answer):
    """Says something else at each `r`."""
    return lambda prompt: answer(prompt).replace("r", "R", 1) if answer(prompt)[:1] == "r" else answer(prompt)


def pair(small=None, uses=BOTH, n_always=0, gate=None, small_costs=None):
    model = fake(saying(TEXT))
    small = fake(small or nearly(saying(TEXT)), small_costs or {1: 1.0, 2: 1.2, 4: 1.5, 8: 2.0}, gate)
    model.draft_model = DraftModel(small, model, uses, n_always)
    return model


def talk(model, sequence=CHAT, n_most=500, stop=lambda _: False, **kwargs):
    return run(generate(model, sequence, PROMPT, n_most, stop, **kwargs))


def test_drafts_save_evaluations_and_change_nothing():
    plain, model = talk(fake(saying(TEXT))), pair()
    drafted, small = talk(model), model.draft_model
    assert drafted.text == plain.text == TEXT
    assert drafted.steps == plain.steps
    assert drafted.n_evaluations < 0.5 * plain.n_evaluations
    assert 0 < small.n_right < small.n_said  # some were wrong
    assert small.n_right <= drafted.n_drafted_right


def test_what_is_always_wrong_is_seldom_tried():
    model = pair(small=lambda prompt: "#" * 9)
    assert talk(model).text == TEXT
    assert model.draft_model.n_right == 0
    assert 0 < model.draft_model.n_said < 0.3 * len(TEXT)


def test_nothing_is_drafted_behind_the_line():
    def said(**kwargs):
        model = pair(small=saying(TEXT), n_always=5)
        out = talk(model, stop=lambda piece: "\n" in piece, **kwargs)
        assert out.text == TEXT[: TEXT.index("\n") + 1]
        return bytes(model.draft_model.model.held(CHAT)[len(PROMPT.token_ids) :]).decode()

    assert said(is_line=True) in TEXT.partition("\n")[0]
    assert "\nTh" in said()


def test_where_it_does_not_pay_the_small_model_is_not_asked():
    gate = Gate()
    for model in (pair(uses=("completion",), gate=gate), pair(small_costs={1: 30.0, 8: 60.0}, gate=gate)):
        assert talk(model, n_most=30).text == TEXT[:30]
        assert gate.n_passed == 0


def test_nobody_waits_for_it_to_read_a_prompt():
    """It reads when the answer has become so long that the rest, thought as long, is worth it; or in idle time."""
    prompt = [*range(200)]
    small = pair(small=lambda _: TEXT, small_costs={1: 1.0, 8: 8.0}).draft_model  # 1 ms a token: 200 to read
    costs = FixedCosts(CHEAP)
    assert small.propose(costs, CHAT, prompt, 0) == small.propose(costs, CHAT, prompt, 20) == []
    assert not small.model.held(CHAT)
    assert small.propose(costs, CHAT, prompt, 150)
    assert not small.propose(costs, COMPLETION, prompt, 0)
    small.follow(COMPLETION, prompt)
    assert small.propose(costs, COMPLETION, prompt, 0)
    assert not small.propose(costs, NEAR, prompt, 0)


def test_a_more_urgent_job_stops_the_small_model_at_once():
    gate = Gate()
    model = pair(small=saying(TEXT), gate=gate)
    worker = Worker(lambda _: None)
    worker.load(lambda *_: model)
    gate.close()
    chat = worker.submit(Urgency.CHAT, lambda model: generate(model, CHAT, PROMPT, 500, lambda _: False))
    while not gate.n_waiting:
        threading.Event().wait(0.002)

    def one(model):
        yield from persist(lambda: model.evaluate(COMPLETION, [1]))
        return "done"

    assert worker.submit(Urgency.COMPLETION, one).result(5) == "done"
    assert not chat.done()
    gate.open()
    assert chat.result(5).text == TEXT
    worker.close()


def test_a_small_model_that_fails_is_done_without(caplog):
    model = pair()

    def fail(*_):
        raise ModelLoadError("no cells are left")

    model.draft_model.model.evaluate = fail
    assert talk(model).text == TEXT
    assert "drafts no more: no cells are left" in caplog.text
    assert len(caplog.records) == 1


@pytest.mark.parametrize(
    ("pieces", "control", "words"),
    [
        ([b"a", b"b", b""], {"<|end|>": 2}, ""),
        ([b"a", b"b", b"", b"", b""], {"<|end|>": 2}, ""),  # filled up with tokens that stand for nothing
        ([b"a", b"x", b""], {"<|end|>": 2}, "token 1 is `x` in it, not `b`"),
        ([b"a", b"b"], {}, "`<|end|>` is no token in it, not token 2"),
        ([b"a", b"b", b""], {"<|end|>": 1}, "`<|end|>` is token 1 in it, not token 2"),
        ([b"a", b"b", b""], {"<|end|>": 2, "<s>": 1}, "`<s>` is token 1 in it, not no token"),
        ([b"a", b"b", b"", b"c"], {"<|end|>": 2}, "token 3 is `c` in it, not nothing"),
    ],
)
def test_vocabularies_are_compared_token_by_token(pieces, control, words):
    large, small = FakeModel(saying("")), FakeModel(saying(""))
    large.vocabulary = Vocabulary([b"a", b"b", b""], {"<|end|>": 2})
    small.vocabulary = Vocabulary(pieces, control)
    reason = why_not(large, small)
    assert words in reason and bool(reason) == bool(words)
    if words:
        with pytest.raises(ModelLoadError, match="another vocabulary"):
            DraftModel(small, large, BOTH)


# -- whether it is loaded at all --------------------------------------------------------------------------


@pytest.fixture
def large(home, tmp_path):
    return str(files.write(tmp_path / "large.gguf", files.model()))


@pytest.fixture
def small(large, tmp_path):
    return str(files.write(tmp_path / "small.gguf", files.model(general__name="another")))


def looked_at(large, small, **others):
    settings = read({"model": large, "draftModel": small, **others}).settings
    return loading._pair(loading.find(settings), settings)


def measured(large, small, **speeds):
    settings = read({"model": large, "draftModel": small}).settings
    key = loading.pair_of(loading.find(settings), small).key
    Records().put(key, {use: Speeds(10.0, speed, 100, 70) for use, speed in speeds.items()})


def test_without_a_measurement_it_is_not_loaded_and_the_command_is_named(large, small):
    pair, note = looked_at(large, small, threads=3)
    assert pair is None
    assert "not measured yet" in note
    command = note.partition("`kruk doctor ")[2].rstrip("`")
    assert command == f"--model {large} --draft-model {small} --settings '{json.dumps({'threads': 3})}'"


def test_it_is_used_where_it_was_measured_to_pay(large, small):
    measured(large, small, completion=10.5, chat=14.0)
    pair, note = looked_at(large, small)
    assert pair.uses == ["chat"] and pair.small.name == "small"
    assert note == "drafts by `small` for `large` pay in chat and actions"


def test_where_it_does_not_pay_it_is_not_loaded(large, small):
    measured(large, small, completion=6.0, chat=6.1)
    pair, note = looked_at(large, small)
    assert pair is None and "do not pay" in note


def test_a_measurement_is_of_these_files_and_so_many_threads(large, small, tmp_path):
    measured(large, small, completion=20.0, chat=20.0)
    assert looked_at(large, small)[0]
    assert "not measured" in looked_at(large, small, threads=7)[1]
    files.write(tmp_path / "small.gguf", files.model(general__name="newer"))
    assert "not measured" in looked_at(large, small)[1]


def test_a_record_that_is_damaged_is_none(large, small, home):
    measured(large, small, chat=20.0)
    (path,) = (home / "cache" / "drafts").iterdir()
    for content in (b"", b"[]", b"{", b'{"chat": 5}', b'{"chat": {"alone": 1}}'):
        path.write_bytes(content)
        assert "not measured" in looked_at(large, small)[1]


def test_what_is_missing_or_broken_is_said_and_done_without(large, tmp_path):
    broken = files.write(tmp_path / "broken.gguf", b"GGUF and no more")
    for name, words in ((str(broken), "broken.gguf"), ("no-such-model", "There is no model `no-such-model`")):
        pair, note = looked_at(large, name)
        assert pair is None
        assert f"no drafts by `{name}`" in note and words in note


def test_one_that_is_the_model_itself_is_meant_for_the_other(large):
    assert looked_at(large, large) == (None, "")


def test_both_must_fit(large, small, monkeypatch):
    measured(large, small, chat=20.0)
    need = memory.estimate(loading.find(read({"model": large}).settings).located, 2048)
    monkeypatch.setattr(memory, "available_bytes", lambda: need.least + memory.RESERVE_BYTES)
    pair, note = looked_at(large, small)
    assert pair is None
    assert "`large` with `small` needs" in note and "are free" in note
    monkeypatch.setattr(memory, "available_bytes", lambda: 2 * need.least + memory.RESERVE_BYTES)
    assert looked_at(large, small)[0]


class Loaded(FakeModel):
    def __init__(self):
        super().__init__(saying(TEXT))
        self.is_closed = False

    def close(self):
        self.is_closed = True


@pytest.mark.parametrize("trouble", [None, "vocabulary", "file"])
def test_the_large_model_is_loaded_whatever_becomes_of_the_small_one(large, small, monkeypatch, trouble):
    measured(large, small, chat=20.0)
    loaded = []

    def load(wanted, tell, keep_on):
        if trouble == "file" and loaded:
            raise ModelFileError("llama.cpp could not load it")
        loaded.append(Loaded())
        if trouble == "vocabulary" and len(loaded) > 1:
            loaded[-1].vocabulary = Vocabulary([b"?"])
        return loaded[-1]

    monkeypatch.setattr(loading.Wanted, "load", load)
    model = loading.loader_for(read({"model": large, "draftModel": small}).settings)(print, lambda: True)
    assert model is loaded[0] and not model.is_closed
    assert bool(model.draft_model) == (trouble is None)
    assert ("no drafts by" in model.info.drafts) == (trouble is not None)
    assert len(loaded) == (1 if trouble == "file" else 2)
    assert loaded[-1].is_closed == (trouble == "vocabulary")


# -- measuring --------------------------------------------------------------------------------------------


def test_measuring_says_the_same_with_and_without_drafts():
    model = pair(n_always=3)
    small, asked = model.draft_model, []
    evaluate = model.evaluate
    model.evaluate = lambda *arguments: asked.append(len(arguments[1])) or evaluate(*arguments)
    speeds = draft_trial._speeds(model, CHAT, PROMPT)
    assert model.draft_model is small
    assert speeds.alone > 0 < speeds.drafted
    assert 0 < speeds.n_right < speeds.n_said == small.n_said
    n_prompt = len(PROMPT.token_ids)
    assert asked.count(n_prompt) == 4 * draft_trial.N_ROUNDS  # what was said before is dropped each time
    assert max(asked) < n_prompt + draft_trial.N_TOKENS + 4


def test_what_is_measured_for_an_instruct_model_and_for_a_base_model():
    model = FakeModel(saying(TEXT))
    assert [use for use, _, _ in draft_trial._prompts(model)] == ["completion", "chat"]
    model.info = dataclasses.replace(model.info, is_instruct=False)
    assert [use for use, _, _ in draft_trial._prompts(model)] == ["completion"]


def test_doctor_measures_and_from_then_on_it_is_used(large, small, monkeypatch):
    result = {
        use: dataclasses.asdict(Speeds(10.0, speed, 52, 38)) for use, speed in (("completion", 9), ("chat", 15))
    }
    monkeypatch.setattr(draft_trial, "run_apart", lambda *_, **__: result)
    (finding,) = doctor._drafts({"model": large, "draftModel": small}, read({"draftModel": small}).settings)
    assert finding.text.startswith(
        "drafts by `small` for `large` pay in chat and actions (completions: 9.0 tokens a second"
    )
    assert "38 of 52 drafted tokens right" in finding.text
    assert looked_at(large, small)[0].uses == ["chat"]


@pytest.mark.parametrize(("name", "words"), [("no-such-model", "There is no model"), ("", "is the model itself")])
def test_doctor_says_why_it_cannot_be_measured(large, name, words):
    name = name or large
    (finding,) = doctor._drafts({"model": large, "draftModel": name}, read({"draftModel": name}).settings)
    assert finding.level == "note" and words in finding.text
