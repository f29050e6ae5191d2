"""What the model wrote is not asked for again by whoever types along it."""

import pytest

from lsp_server.completion.outputs import Outputs
from lsp_server.completion.request import CompletionRequest
from lsp_server.completion.trigger import Shape
from lsp_server.model.base import Step
from lsp_server.model.generate import Generation
from lsp_server.text import Document

BEFORE, AFTER = "x = 1\n", "\nprint(x)\n"
LINE, BLOCK = Shape("line", "a test"), Shape("block", "a test")
N_MOST = 8


def request(typed: str, newline: str = "\n") -> CompletionRequest:
    before, after = (text.replace("\n", newline) for text in (BEFORE + typed, AFTER))
    return CompletionRequest(Document("file:///a.py", "python", 1, before + after), len(before), "a.py", "invoked")


def outputs_of(*tokens: str, ended_by: str = "rule", newline: str = "\n") -> Outputs:
    text = "".join(tokens)
    ends = [len("".join(tokens[: n + 1])) for n in range(len(tokens))]
    generation = Generation(text, ended_by, [Step(n, -0.5) for n in range(len(tokens))], ends)
    outputs = Outputs()
    outputs.add(request("", newline), generation, ())
    return outputs


def test_the_rest_has_the_tokens_that_are_left():
    found = outputs_of("print", "(x", ")", "\n").find(request("prin"), LINE, N_MOST)
    assert found and found.generation.text == "t(x)\n"
    assert found.generation.ends == [1, 3, 4, 5]
    assert [step.token_id for step in found.generation.steps] == [0, 1, 2, 3]


@pytest.mark.parametrize("typed", ["prim", "print(x)\n"])
def test_other_text_and_the_end_of_it_are_for_the_model(typed):
    assert outputs_of("print", "(x", ")", "\n").find(request(typed), LINE, N_MOST) is None


def test_where_more_is_wanted_than_was_written_the_model_is_asked():
    outputs = outputs_of("def f", "():", "\n")
    assert outputs.find(request("d"), LINE, N_MOST)
    assert outputs.find(request("d"), BLOCK, N_MOST) is None


def test_what_the_model_ended_itself_is_whole():
    assert outputs_of("x", " + 1", ended_by="model").find(request("x"), LINE, N_MOST)


@pytest.mark.parametrize(("typed", "is_found"), [("", True), ("a" * 4, True), ("a" * 5, False)])
def test_what_was_cut_off_serves_while_half_of_it_is_left(typed, is_found):
    outputs = outputs_of(*"aaaaaaaa", ended_by="length")
    assert (outputs.find(request(typed), LINE, N_MOST) is not None) == is_found


def test_line_ends_are_the_documents_in_the_text_and_one_character_in_the_output():
    outputs = outputs_of("if x:", "\n", "    y", "\n", newline="\r\n")
    found = outputs.find(request("if x:\n  ", "\r\n"), LINE, N_MOST)
    assert found and found.generation.text == "  y\n"


def test_forgetting():
    outputs = outputs_of("x", "\n")
    outputs.forget("file:///b.py")
    assert outputs.newest("file:///a.py") and outputs.find(request(""), LINE, N_MOST)
    outputs.forget("file:///a.py")
    assert outputs.newest("file:///a.py") is None and outputs.find(request(""), LINE, N_MOST) is None
