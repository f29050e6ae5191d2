"""Settings: every way an editor may write them, and what is said about those that are wrong."""

from dataclasses import asdict

import pytest

from lsp_server.settings import OPTIONS, read


@pytest.mark.parametrize(
    "sent",
    [
        {"completion": {"maxTokens": 7}},
        {"completion.maxTokens": 7},
        {"kruk": {"completion": {"maxTokens": 7}}},
        {"kruk.completion.maxTokens": 7},
        {"kruk": {"completion.maxTokens": 7}, "other": {"x": 1}},
    ],
)
def test_all_spellings(sent):
    assert read(sent).settings.completion.max_tokens == 7
    assert read(sent).problems == ()


@pytest.mark.parametrize("sent", [None, {}, {"kruk": {}}, {"completion": {"maxTokens": None}}])
def test_nothing_sent_means_the_defaults(sent):
    assert read(sent) == read()
    assert read(sent).problems == ()


@pytest.mark.parametrize(
    ("sent", "words"),
    [
        ({"modle": "x"}, ["kruk.modle", "`model`"]),
        ({"completion": {"maxtokens": 3}}, ["kruk.completion.maxtokens", "`completion.maxTokens`"]),
        ({"completion": {"maxTokens": "many"}}, ["must be a whole number", "'many'", "default 96"]),
        ({"completion": {"maxTokens": 0}}, ["at least 1"]),
        ({"completion": {"maxTokens": True}}, ["whole number, not true"]),
        ({"completion": {"enabled": 1}}, ["true or false"]),
        ({"completion": {"multiline": "sometimes"}}, ["auto, always, never"]),
        ({"completion": {"excludeGlobs": "*.x"}}, ["list of texts"]),
        ({"completion": 3}, ["kruk.completion"]),
        ([1, 2], ["must be an object, not a list"]),
        ("model", ["must be an object, not a text"]),
    ],
)
def test_a_wrong_setting_is_named_and_the_default_used(sent, words):
    reading = read(sent)
    assert reading.settings == read().settings
    assert len(reading.problems) == 1
    for word in words:
        assert word in reading.problems[0]


def test_a_later_part_goes_over_an_earlier_one():
    settings = read({"model": "a", "threads": 2}, None, {"model": "b"}).settings
    assert (settings.model, settings.threads) == ("b", 2)


def test_every_option_reaches_the_settings():
    values = {str: "z", tuple: ["z"]}
    sent = {
        option.name: (not option.default)
        if isinstance(option.default, bool)
        else option.choices[-1]
        if option.choices
        else values.get(type(option.default), min(777, option.maximum or 777))
        for option in OPTIONS
    }
    changed = read(sent)
    assert changed.problems == ()
    for name, was in flat(asdict(read().settings)):
        assert dict(flat(asdict(changed.settings)))[name] != was, name


def flat(tree, above=""):
    for name, value in tree.items():
        if isinstance(value, dict):
            yield from flat(value, f"{above}{name}.")
        else:
            yield above + name, value
