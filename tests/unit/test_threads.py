"""How many threads: on simulated machines, where a thread that shares its core holds up the others."""

import itertools

import pytest

from lsp_server.model import threads
from lsp_server.model.threads import PATIENCE, WIDE, Cost, Threads, candidates, choose, fastest

TWO_CORES = {2: Cost(20.0, 60.0), 1: Cost(31.0, 110.0)}
EIGHT_CORES = {n: Cost(100 / n + 5, 400 / n + 5) for n in candidates(8)}


class Machine:
    """Answers how long an evaluation takes beside neighbours that keep a core busy each."""

    def __init__(self, costs, n_cores, usual):
        self.costs, self.n_cores = costs, n_cores
        self.seen = 0  # neighbours, as the operating system counts them
        self.threads = Threads(costs, usual, None, lambda: self.seen, n_cores)
        self.n = usual
        self.neighbours = 0
        self.slower = 1.0
        self.used = []
        self._noise = itertools.cycle((1.0, 1.1, 0.98, 1.3, 1.05, 1.0, 1.15))

    def ms(self, n_tokens):
        ms = self.costs[self.n].of(n_tokens) * next(self._noise) * self.slower
        return ms * 3 if self.n + self.neighbours > self.n_cores else ms

    def work(self, n_evaluations, n_tokens=1):
        """Evaluate; returns the milliseconds of all."""
        total = 0.0
        for _ in range(n_evaluations):
            ms = self.ms(n_tokens)
            total += ms
            self.used.append(self.n)
            self.n = self.threads.told(n_tokens, ms) or self.n
        return total


@pytest.fixture
def two():
    return Machine(TWO_CORES, 2, 2)


def test_nothing_changes_alone(two):
    for n_tokens in (1, 3, 1, WIDE, 5, 300):
        two.work(200, n_tokens)
    assert set(two.used) == {2}


def test_beside_a_neighbour_one_thread_less(two):
    two.work(50)
    two.neighbours = 1
    beside = two.work(200) / 200
    assert two.n == 1
    assert beside < 31 * 1.35  # what one thread takes, its noise, and some tries


def test_a_neighbour_that_is_seen_costs_one_slow_evaluation(two):
    two.neighbours = two.seen = 1
    two.work(300)
    assert two.used.count(2) <= 1


def test_neighbours_on_other_cores_do_not_matter():
    eight = Machine(EIGHT_CORES, 16, 8)
    eight.seen = 6
    eight.work(300)
    assert set(eight.used) == {8}


def test_also_when_drafts_are_evaluated(two):
    two.neighbours = 1
    two.work(30, n_tokens=4)
    assert two.used[10:].count(2) <= 2


def test_all_threads_again_when_the_neighbour_is_gone(two):
    two.neighbours = 1
    two.work(100)
    two.neighbours = 0
    two.work(200)
    assert two.used[-50:] == [2] * 50


def test_a_neighbour_that_stays_is_tried_ever_more_rarely(two):
    two.neighbours = 1
    two.work(3000)
    assert two.used[1000:].count(2) <= 2000 / 100


def test_after_a_calm_time_it_is_tried_soon_again(two):
    two.neighbours = 1
    two.work(3000)
    two.neighbours = 0
    two.work(1000)
    two.neighbours = 1
    two.work(20)
    assert two.n == 1
    two.neighbours = 0
    two.work(4 * PATIENCE)
    assert two.n == 2


@pytest.mark.parametrize(("neighbours", "most"), [(0, 7), (1, 7), (2, 6), (4, 4)])
def test_many_cores(neighbours, most):
    machine = Machine(EIGHT_CORES, 8, 7)
    machine.neighbours = neighbours
    machine.work(60)
    assert machine.n == max(n for n in EIGHT_CORES if n <= most)


def test_a_long_context_is_not_taken_for_a_neighbour(two):
    two.work(50)
    two.slower = 2.0
    two.work(300)
    assert two.used[-250:] == [2] * 250


def test_one_core_has_no_choice():
    machine = Machine({1: Cost(30.0, 100.0)}, 1, 1)
    machine.neighbours = 1
    machine.work(100)
    assert set(machine.used) == {1}


def test_fewer_threads_when_they_are_as_fast():
    assert fastest({4: Cost(10.0, 20.0), 3: Cost(10.2, 20.5), 1: Cost(30.0, 70.0)}) == 3


class Measure:
    def __init__(self, costs):
        self.costs, self.n_calls = costs, 0

    def __call__(self, n_threads, n_tokens):
        self.n_calls += 1
        return self.costs[n_threads].of(n_tokens)


@pytest.fixture
def others(monkeypatch):
    """Makes other processes use so many seconds of the processor while we measure."""
    used = [0.0]
    clock = itertools.count()
    monkeypatch.setattr(threads, "_others_seconds", lambda: used[0] * next(clock))
    return used


def test_measured_once(home, others):
    measure = Measure(TWO_CORES)
    assert choose(2, "key", measure).n == 2
    n_calls = measure.n_calls
    chosen = choose(2, "key", measure)
    assert (chosen.n, measure.n_calls) == (2, n_calls)
    choose(2, "another key", measure)
    assert measure.n_calls > n_calls


def test_what_is_measured_beside_a_neighbour_is_not_kept(home, others):
    others[0] = 1e6
    beside = Measure({2: Cost(60.0, 180.0), 1: Cost(31.0, 110.0)})
    chosen = choose(2, "key", beside)
    assert (chosen.n, chosen.usual) == (1, 2)
    others[0] = 0.0
    assert choose(2, "key", Measure(TWO_CORES)).n == 2


def test_a_file_that_is_damaged_is_measured_anew(home, others):
    choose(2, "key", Measure(TWO_CORES))
    (path,) = (home / "cache" / "threads").iterdir()
    for text in ("", "[]", '{"2": 1}', '{"2": [0, 0]}', '{"x": [1, 2]}', "{}"):
        path.write_text(text)
        measure = Measure(TWO_CORES)
        assert choose(2, "key", measure).n == 2
        assert measure.n_calls


def test_what_is_hopeless_is_left_at_once(home, others):
    measure = Measure({n: Cost(10.0, 20.0) if n > 3 else Cost(90.0, 300.0) for n in candidates(8)})
    chosen = choose(8, "key", measure)
    assert chosen.n == 4
    assert measure.n_calls < 5 * 5
