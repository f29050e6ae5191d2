"""Drafting: what is proposed, when it pays, and that it never changes what comes out."""

from lsp_server.completion.prompt import Parts, build
from lsp_server.model.base import COMPLETION
from lsp_server.model.draft import Drafter
from lsp_server.model.fake import FakeModel, knowing
from lsp_server.model.generate import generate
from tests.conftest import run

CHEAP = {1: 10.0, 2: 11.0, 4: 12.0, 8: 13.0}
DEAR = {1: 10.0, 2: 20.0, 4: 40.0, 8: 80.0}


def test_the_last_and_longest_match_is_continued():
    known = [1, 2, 3, 10, 11, 12, 1, 2, 3, 20, 21, 22, 9, 3, 30, 31]
    assert Drafter(CHEAP).propose([1, 2, 3], known)[0][:2] == [20, 21]
    assert Drafter(CHEAP).propose([7, 3], known) == ([30], 1)  # too short an end for four


def test_nothing_is_known():
    assert Drafter(CHEAP).propose([5], [1, 2, 3]) == ([], 0)
    assert Drafter(CHEAP).propose([3], [1, 2, 3]) == ([], 0)
    assert Drafter(CHEAP).propose([], [1, 2, 3]) == ([], 0)


def test_ids_are_matched_whole():
    """The bytes of two ids hold those of others at odd places."""
    assert Drafter(CHEAP).propose([0x0100], [1, 1 << 16, 2, 3]) == ([], 0)


def test_a_batch_that_costs_as_much_as_its_tokens_is_not_drafted():
    assert Drafter(DEAR).propose([1], [1, 2, 3, 4])[0] == []
    assert Drafter().propose([1], [1, 2, 3, 4])[0] == []  # nor is one of unknown cost


def test_what_proves_wrong_is_given_up_and_what_proves_right_is_drafted_further():
    costs = {1: 10.0, 2: 15.0, 4: 20.0, 8: 31.0}
    known = list(range(1, 20))
    wrong, right = Drafter(costs), Drafter(costs)
    for _ in range(100):
        wrong.tested(1, False)
        right.tested(1, True)
    assert wrong.propose([1], known)[0] == []
    assert len(right.propose([1], known)[0]) == 7


def test_costs_follow_the_machine():
    drafter = Drafter(CHEAP)
    for _ in range(100):
        for width in (2, 4, 8):
            drafter.measured(width, 10.0 * width)
    assert drafter.propose([1], [1, 2, 3, 4])[0] == []


def test_a_cost_measured_beside_a_busy_neighbour_is_not_believed_for_ever():
    costs = {1: 10.0, 2: 15.0, 4: 20.0, 8: 31.0}
    known = list(range(200))
    drafter = Drafter(costs | {4: 400.0, 8: 800.0, 2: 200.0})
    n_drafted = 0
    for n in range(1, 180):
        draft, _ = drafter.propose(known[:n], known)
        n_drafted += len(draft)
        if len(draft) + 1 in costs:
            drafter.measured(len(draft) + 1, costs[len(draft) + 1])
    assert n_drafted > 0
    assert drafter.costs_ms[4] < 210


def test_what_was_not_drafted_teaches_how_far_a_match_is_to_be_trusted():
    """On two cores a batch of eight costs nearly five single tokens: only what is copied pays."""
    known = list(range(100))
    drafter = Drafter({1: 19.0, 2: 38.0, 4: 50.0, 8: 90.0})
    assert drafter.propose(known[:30], known) == ([], 16)
    for n in range(31, 80):
        drafter.propose(known[:n], known)
    assert len(drafter.propose(known[:81], known)[0]) >= 3


class FixedCosts(Drafter):
    """The fake model takes no time."""

    def measured(self, width: int, took_ms: float) -> None:
        pass


def fill(costs, is_line):
    text = "\n".join(f"    total_of_everything += price({name})" for name in ("one", "two", "three", "four"))
    model = FakeModel(knowing(text + "\nend"))
    model.drafter = FixedCosts(costs)
    at = text.index("    total_of_everything += price(t")
    prompt = build(model, Parts(text[:at], "", "\nend"), 64)
    return run(generate(model, COMPLETION, prompt, 200, lambda piece: is_line and "\n" in piece, is_line=is_line))


def test_a_draft_saves_evaluations_and_changes_nothing():
    for is_line in (False, True):
        plain, drafted = fill(None, is_line), fill(CHEAP, is_line)
        assert drafted.text == plain.text
        assert drafted.ended_by == plain.ended_by
        assert (plain.n_drafted, plain.n_evaluations) == (0, plain.n_tokens - (plain.ended_by == "rule"))
        assert drafted.n_drafted_right > 10
        assert drafted.n_evaluations < 0.8 * plain.n_evaluations
