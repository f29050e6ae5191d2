"""Token healing, stop rules and prompts, with the fake's bytes as tokens."""

import math
import re

import pytest

from lsp_server.completion.prompt import Parts, build
from lsp_server.model.base import COMPLETION, Evaluation, Speaker, Step, Vocabulary
from lsp_server.model.fake import END, MIDDLE, PREFIX, SUFFIX, FakeModel, knowing
from lsp_server.model.generate import Prompt, generate, heal
from tests.conftest import run


def fill(text, head, tail, suffix, stop=lambda _: False, **kwargs):
    model = FakeModel(knowing(text))
    prompt = build(model, Parts(head, tail, suffix), 64)
    return run(generate(model, COMPLETION, prompt, 64, stop, **kwargs))


def test_the_middle_is_generated_up_to_the_end():
    out = fill("one two three", "one ", "t", " three")
    assert (out.text, out.ended_by) == ("wo", "model")


def test_the_rule_hears_each_new_piece_and_ends_it():
    heard = []
    out = fill("a\nb\nc\n", "", "", "", lambda piece: heard.append(piece) or piece == "\n")
    assert (out.text, out.ended_by) == ("a\n", "rule")
    assert heard == ["a", "\n"]


def test_length():
    out = fill("x" * 100, "", "", "")
    assert (len(out.text), out.ended_by) == (64, "length")


def test_characters_are_never_cut_in_half():
    heard = []
    assert fill("Grüße 𝄞", "Gr", "", "", lambda piece: heard.append(piece) and False).text == "üße 𝄞"
    assert "\ufffd" not in "".join(heard)


@pytest.mark.parametrize(
    ("text", "owed"),
    [
        ("x = ab", b"ab"),  # the word, here of two tokens
        ("x.abcdefgh", b"efgh"),  # no more than four of them
        ("x = ü_1", "ü_1".encode()),
        ("a +", b"+"),
        ("a  ", b"  "),
        ("a\n    ", b"    "),
        ("a \t", b" \t"),
        ("\n", b"\n"),
        ("", b""),
    ],
)
def test_healing_gives_back_the_last_token_and_white_space(text, owed):
    ids, given_back = heal(FakeModel(knowing()), text)
    assert bytes(given_back) == owed
    assert bytes(ids) + owed == text.encode()


def test_tokens_that_agree_with_what_is_owed():
    pieces = [b"", b"re", b"return", b"returns", b"r", b"xret", b"ret", b" ret"]
    vocabulary = Vocabulary(pieces)
    assert {pieces[i] for i in vocabulary.covering(b"ret")} == {b"return", b"returns", b"ret"}
    assert {pieces[i] for i in vocabulary.beginning(b"ret")} == {b"re", b"r"}
    assert {pieces[i] for i in vocabulary.covering(b"x")} == {b"xret"}
    assert len(vocabulary.covering(b"zz")) == len(vocabulary.beginning(b"zz")) == 0


def test_the_order_of_a_prompt():
    prompt = build(FakeModel(knowing()), Parts("head", "ta", "suf"), 64)
    assert prompt.token_ids == (PREFIX, *b"head", SUFFIX, *b"suf", MIDDLE)
    assert bytes(prompt.given_back) == b"ta"


def test_a_model_without_fim_gets_the_text_before_the_cursor():
    prompt = build(FakeModel(knowing(), has_fim=False), Parts("head ", "(ta", "suf"), 64)
    assert prompt.token_ids == (*b"head ", *b"(")


def test_what_does_not_fit_is_cut_far_from_the_cursor():
    model = FakeModel(knowing())
    prompt = build(model, Parts("H" * 9000 + "head", "tail", "suf" + "S" * 9000), 100)
    assert len(prompt.token_ids) + 100 <= model.info.n_ctx
    text = prompt.token_ids
    at = text.index(SUFFIX)
    assert bytes(text[at - 4 : at]) == b"head"
    assert bytes(text[at + 1 : at + 4]) == b"suf"
    assert bytes(text[text.index(MIDDLE) + 1 :]) + bytes(prompt.given_back) == b"tail"


def test_control_texts_in_a_file_are_no_control_tokens():
    model = FakeModel(knowing())
    prompt = build(model, Parts("<|middle|>", "", "<|end|>"), 64)
    assert prompt.token_ids.count(MIDDLE) == 1
    assert END not in prompt.token_ids


def test_must_begin_takes_the_next_best_when_the_model_would_end_at_once():
    assert fill("", "a", "", "").text == ""
    assert fill("", "a", "", "", must_begin=True).text != ""


def test_what_another_job_did_to_the_sequence_is_put_right():
    """Between two tokens a more urgent job may take the sequence, and the logits with it."""
    model = FakeModel(knowing("one two three"))
    prompt = build(model, Parts("one ", "", " three"), 64)
    steps = generate(model, COMPLETION, prompt, 64, lambda _: False)
    while True:
        try:
            next(steps)
        except StopIteration as end:
            assert end.value.text == "two"
            break
        model.evaluate(COMPLETION, list(b"something else"))


def test_probabilities_of_the_tokens_and_their_rivals():
    model = FakeModel(knowing("a = first"), second=knowing("a = other"))
    out = run(generate(model, COMPLETION, build(model, Parts("a = ", "", ""), 64), 64, lambda _: False))
    assert out.text == "first"
    assert [chr(step.token_id) for step in out.steps] == list("first")
    assert chr(out.steps[0].rival_id) == "o"
    assert 0.3 < math.exp(out.steps[0].rival_logprob) < math.exp(out.steps[0].logprob) < 0.7
    assert math.exp(out.steps[1].logprob) > 0.9


def test_an_output_begins_with_what_is_forced():
    model = FakeModel(knowing("a = first"), second=knowing("a = other"))
    prompt = build(model, Parts("a = ", "", ""), 64)
    model._answer = knowing("a = other")
    assert run(generate(model, COMPLETION, prompt, 64, lambda _: False, forced=b"o")).text == "other"
    heard = []
    out = run(
        generate(model, COMPLETION, prompt, 64, lambda piece: heard.append(piece) or piece == "t", forced=b"oth")
    )
    assert (out.text, heard) == ("ot", ["o", "t"])


class Talker(Speaker):
    """Says pieces by heart: those after the longest of its prompts that the prompt ends with."""

    can_ask_again = True

    def __init__(self, **answers):
        self.answers, self.asked = answers, []
        self._pieces = [b""]
        self.vocabulary = Vocabulary(self._pieces)

    def tokenize(self, text):
        return [self._id(piece) for piece in re.findall(r"\s|\w+", text)]

    def is_end(self, token_id):
        return token_id == 0

    def speak(self, token_ids, n_most):
        prompt = b"".join(self._pieces[i] for i in token_ids).decode()
        self.asked.append(prompt)
        found = max((end for end in self.answers if prompt.endswith(end)), key=len)
        return Talk([self._id(piece) for piece in self.answers[found]][:n_most])

    def _id(self, piece):
        if piece.encode() not in self._pieces:
            self._pieces.append(piece.encode())
        return self._pieces.index(piece.encode())


class Talk:
    def __init__(self, ids):
        self.ids, self.ended_by, self.evaluation, self.is_closed = ids, "model", Evaluation(1, 2), False

    def next(self):
        return Step(self.ids.pop(0), -0.5) if self.ids else None

    def close(self):
        self.is_closed = True


@pytest.mark.parametrize(
    ("answers", "wanted", "asked"),
    [
        ({"f": [" ", "  return", " x"]}, "return x", ["f"]),  # as the white space stands there
        ({"f": ["     return", " x"]}, "  return x", ["f"]),
        ({"f": [" ", "return", " x"], "f   ": ["y"]}, "y", ["f", "f   "]),
        ({"f": [], "f   ": ["y"]}, "y", ["f", "f   "]),
        ({"f": [], "f   ": []}, "", ["f", "f   "]),
    ],
)
def test_who_chooses_himself_is_asked_again_where_he_does_not_agree(answers, wanted, asked):
    talker = Talker(**answers)
    out = run(generate(talker, 0, Prompt(*map(tuple, heal(talker, "f   "))), 9, lambda _: False))
    assert (out.text, out.ended_by, talker.asked) == (wanted, "model", asked)
    assert out.evaluation == Evaluation(1, 2)
    talker.can_ask_again = False
    assert heal(talker, "f   ") == (talker.tokenize("f   "), ())
