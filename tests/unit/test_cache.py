"""The suggestion cache: typing along, going back, and everything that must not be a hit."""

import pytest

from lsp_server.completion.cache import SuggestionCache

BEFORE, AFTER = "def add(a, b):\n    ", "\n\nprint(add(1, 2))\n"


@pytest.fixture
def cache() -> SuggestionCache:
    cache = SuggestionCache()
    cache.add("file:///a", BEFORE + AFTER, len(BEFORE), "return a + b")
    return cache


def rest(cache, uri, text, offset):
    found = cache.find(uri, text, offset)
    return found and found.text


@pytest.mark.parametrize(
    ("typed", "left"),
    [("", "return a + b"), ("ret", "urn a + b"), ("return a + ", "b"), ("return a + b", None), ("rat", None)],
)
def test_typing_along(cache, typed, left):
    text = BEFORE + typed + AFTER
    assert rest(cache, "file:///a", text, len(BEFORE + typed)) == left


def test_another_file(cache):
    assert rest(cache, "file:///b", BEFORE + AFTER, len(BEFORE)) is None


def test_a_change_before_or_after(cache):
    assert rest(cache, "file:///a", BEFORE.replace("b", "c") + AFTER, len(BEFORE)) is None
    assert rest(cache, "file:///a", BEFORE + ")" + AFTER, len(BEFORE)) is None


def test_the_newest_wins_and_an_older_one_still_fits(cache):
    cache.add("file:///a", BEFORE + AFTER, len(BEFORE), "raise NotImplementedError")
    assert rest(cache, "file:///a", BEFORE + AFTER, len(BEFORE)) == "raise NotImplementedError"
    assert rest(cache, "file:///a", BEFORE + "re" + AFTER, len(BEFORE) + 2) == "turn a + b"


def test_others_that_fit_at_the_place(cache):
    for text in ("return b + a", "raise ValueError", "return a + b"):
        cache.add("file:///a", BEFORE + AFTER, len(BEFORE), text, is_branch=True)
    assert cache.others("file:///a", BEFORE + AFTER, len(BEFORE), "return a + b") == [
        "raise ValueError",
        "return b + a",
    ]
    assert cache.others("file:///a", BEFORE + "ret" + AFTER, len(BEFORE) + 3, "urn a + b") == ["urn b + a"]


def test_forgetting(cache):
    cache.forget("file:///a")
    assert rest(cache, "file:///a", BEFORE + AFTER, len(BEFORE)) is None


def test_brackets_that_the_editor_closed_are_not_suggested_again(cache):
    cache.add("file:///a", BEFORE + AFTER, len(BEFORE), "print(f(a))")
    assert rest(cache, "file:///a", BEFORE + "print(" + ")" + AFTER, len(BEFORE) + 6) == "f(a)"
    assert rest(cache, "file:///a", BEFORE + "print(f(" + "))" + AFTER, len(BEFORE) + 8) == "a"
    assert rest(cache, "file:///a", BEFORE + "print(f(a" + "))" + AFTER, len(BEFORE) + 9) is None
    assert rest(cache, "file:///a", BEFORE + "print(" + "]" + AFTER, len(BEFORE) + 6) is None


def test_a_branch_is_for_whoever_types_against_the_suggestion(cache):
    cache.add("file:///a", BEFORE + AFTER, len(BEFORE), "return b", is_branch=True)
    assert rest(cache, "file:///a", BEFORE + "return " + AFTER, len(BEFORE) + 7) == "a + b"
    assert rest(cache, "file:///a", BEFORE + "return " + AFTER, len(BEFORE) + 7) == "a + b"
    cache.add("file:///a", BEFORE + AFTER, len(BEFORE), "raise x", is_branch=True)
    assert rest(cache, "file:///a", BEFORE + "ra" + AFTER, len(BEFORE) + 2) == "ise x"
