"""How sure the model is: of the first line, of what is left of it, of the lines after it."""

import math

import pytest

from lsp_server.completion.confidence import confidence, doubts, sure_lines
from lsp_server.model.base import Step
from lsp_server.model.generate import Generation


def generation(*tokens):
    out = Generation()
    for text, probability in tokens:
        out.text += text
        out.steps.append(Step(0, math.log(probability)))
        out.ends.append(len(out.text))
    return out


def test_the_first_line_without_its_end():
    out = generation(("\n", 0.5), ("a", 0.5), (" = 1", 0.5), ("\n", 0.01), ("b = 2", 0.01))
    assert confidence(doubts(out, out.text)) == pytest.approx(0.125)
    assert confidence(doubts(generation(("a", 0.5), (" = 1", 0.5)), "a = 1")) == pytest.approx(0.25)


def test_what_is_typed_is_certain():
    out = generation(("re", 0.5), ("turn", 0.4), (" x", 0.9), ("\n", 0.5))
    assert confidence(doubts(out, "return x"), 2) == pytest.approx(0.36)
    assert confidence(doubts(out, "return x"), 3) == pytest.approx(0.36)  # half of a token is none
    assert confidence(doubts(out, "return x"), 6) == pytest.approx(0.9)
    assert confidence(doubts(out, "  return x"), 6) == pytest.approx(0.18)  # another text than the tokens were


def test_a_block_ends_where_the_model_begins_to_guess():
    out = generation(("a = 1\n", 0.1), ("b = ", 0.9), ("2\n", 0.9), ("c", 0.2), (" = 3\n", 0.9), ("d\n", 0.9))
    assert sure_lines(out, 0.5) == "a = 1\nb = 2\n"
    assert sure_lines(out, 0.0) == out.text
    assert sure_lines(generation(), 0.5) == ""
