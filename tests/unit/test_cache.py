"""The suggestion cache: typing along, going back, and everything that must not be a hit."""

import pytest

from lsp_server.completion.cache import SuggestionCache

BEFORE, AFTER = "def add(a, b):\n    ", "\n\nprint(add(1, 2))\n"


@pytest.fixture
def cache() -> SuggestionCache:
    cache = SuggestionCache()
    cache.add("file:///a", BEFORE + AFTER, len(BEFORE), "return a + b")
    return cache


@pytest.mark.parametrize(
    ("typed", "rest"),
    [("", "return a + b"), ("ret", "urn a + b"), ("return a + ", "b"), ("return a + b", None), ("rat", None)],
)
def test_typing_along(cache, typed, rest):
    text = BEFORE + typed + AFTER
    assert cache.find("file:///a", text, len(BEFORE + typed)) == rest


def test_another_file(cache):
    assert cache.find("file:///b", BEFORE + AFTER, len(BEFORE)) is None


def test_a_change_before_or_after(cache):
    assert cache.find("file:///a", BEFORE.replace("b", "c") + AFTER, len(BEFORE)) is None
    assert cache.find("file:///a", BEFORE + ")" + AFTER, len(BEFORE)) is None


def test_the_newest_wins_and_an_older_one_still_fits(cache):
    cache.add("file:///a", BEFORE + AFTER, len(BEFORE), "raise NotImplementedError")
    assert cache.find("file:///a", BEFORE + AFTER, len(BEFORE)) == "raise NotImplementedError"
    assert cache.find("file:///a", BEFORE + "re" + AFTER, len(BEFORE) + 2) == "turn a + b"


def test_forgetting(cache):
    cache.forget("file:///a")
    assert cache.find("file:///a", BEFORE + AFTER, len(BEFORE)) is None
