"""What is known of a document after a restart, and what must not be believed when the file has changed."""

import pytest

from lsp_server import settings as settings_module
from lsp_server.completion.cache import SuggestionCache
from lsp_server.completion.recall import Recall, Recalled, key_of
from lsp_server.context.window import place
from lsp_server.paths import CacheFolder

URI, KEY = "file:///a.py", "key"
LINES = [f"value_{i} = compute(value_{i - 1}, 'żółw')\n" for i in range(60)]
TEXT = "".join(LINES)
AT = len("".join(LINES[:40]))
SUGGESTED = "value_x = compute(value_39)"


@pytest.fixture
def folder(home):
    return CacheFolder("documents", 1 << 20)


@pytest.fixture
def anchored():
    return place(TEXT, AT, 500, 8, None)


@pytest.fixture
def saved(folder, anchored):
    cache = SuggestionCache()
    cache.add(URI, TEXT, AT, SUGGESTED)
    Recall(folder).save(URI, KEY, anchored, list(cache._kept))
    return folder


def find(recalled, text, offset):
    cache = SuggestionCache()
    cache._kept.extend(recalled.suggestions)
    found = cache.find(URI, text, offset)
    return found and found.text


def test_the_next_run_has_the_same_windows_and_suggestions(saved, anchored):
    recalled = Recall(saved).load(URI, KEY)
    assert recalled.anchored == anchored
    assert place(TEXT, AT + len(LINES[40]), 500, 8, recalled.anchored).head is recalled.anchored.head
    assert find(recalled, TEXT, AT) == SUGGESTED
    typed = TEXT[:AT] + "value_x" + TEXT[AT:]
    assert find(recalled, typed, AT + 7) == SUGGESTED[7:]


@pytest.mark.parametrize(
    "changed",
    [
        TEXT[: AT - 50] + "#" + TEXT[AT - 50 :],  # above the cursor
        TEXT[: AT - 50] + "#" + TEXT[AT - 49 :],
        TEXT[AT // 2 :],
        TEXT.replace("\n", "\r\n"),
        "",
    ],
    ids=["inserted", "replaced", "cut", "crlf", "empty"],
)
def test_a_file_that_changed_between_two_runs(saved, changed):
    recalled = Recall(saved).load(URI, KEY)
    at = min(AT, len(changed))
    assert find(recalled, changed, at) is None
    window = place(changed, at, 500, 8, recalled.anchored).window
    assert window.head(changed) + window.tail(changed) == changed[window.start : at]
    if not changed.startswith(recalled.anchored.head, recalled.anchored.window.start):
        assert place(changed, at, 500, 8, recalled.anchored) == place(changed, at, 500, 8, None)


def test_a_change_behind_the_cursor_keeps_the_anchor_and_drops_the_suggestion(saved):
    changed = TEXT[:AT] + "\n# more\n" + TEXT[AT:]
    recalled = Recall(saved).load(URI, KEY)
    assert find(recalled, changed, AT) is None
    assert place(changed, AT, 500, 8, recalled.anchored).head is recalled.anchored.head


def test_another_document_another_key(saved):
    assert Recall(saved).load("file:///b.py", KEY) == Recalled()
    assert Recall(saved).load(URI, "another model") == Recalled()


@pytest.mark.parametrize("at", [0, 16, 100, -1])
def test_a_flipped_byte(saved, at):
    path = saved.at(saved.names()[0])
    raw = bytearray(path.read_bytes())
    raw[at] ^= 1
    path.write_bytes(raw)
    assert Recall(saved).load(URI, KEY) == Recalled()


@pytest.mark.parametrize("raw", [b"", b"short", bytes(2 << 20)])
def test_no_page_at_all(saved, raw):
    saved.at(saved.names()[0]).write_bytes(raw)
    assert Recall(saved).load(URI, KEY) == Recalled()


def test_windows_that_make_no_sense(folder, anchored):
    broken = place(TEXT, AT, 500, 8, None)
    object.__setattr__(broken.window, "anchor", anchored.window.anchor + 1)
    Recall(folder).save(URI, KEY, broken, ())
    assert Recall(folder).load(URI, KEY) == Recalled()


def test_only_the_newest_suggestions_are_kept(folder):
    cache = SuggestionCache()
    for i in range(40):
        cache.add(URI, TEXT, i, f"suggestion {i}")
    Recall(folder).save(URI, KEY, None, list(cache._kept))
    kept = Recall(folder).load(URI, KEY).suggestions
    assert kept == tuple(cache._kept)[-len(kept) :]
    assert 0 < len(kept) < 40


def test_a_document_that_nothing_is_known_of_leaves_no_file(folder):
    Recall(folder).save(URI, KEY, None, ())
    assert folder.names() == []


def test_what_did_not_change_is_written_once(folder, anchored, monkeypatch):
    recall = Recall(folder)
    recall.save(URI, KEY, anchored, ())
    recalled = Recall(folder)
    loaded = recalled.load(URI, KEY)
    monkeypatch.setattr(folder, "write", lambda *_: pytest.fail("it was written"))
    recall.save(URI, KEY, anchored, ())
    recalled.save(URI, KEY, loaded.anchored, loaded.suggestions)


def test_half_of_a_surrogate_pair_is_no_failure(folder):
    text = "x = '\ud800'\n" * 20
    Recall(folder).save(URI, KEY, place(text, len(text), 500, 8, None), ())
    assert Recall(folder).load(URI, KEY) == Recalled()


def test_a_folder_that_cannot_be_written(folder, anchored, home):
    (home / "cache").write_text("a file where the folder should be")
    Recall(folder).save(URI, KEY, anchored, ())
    assert Recall(folder).load(URI, KEY) == Recalled()


def test_the_key_has_what_suggestions_depend_on():
    def key(model="a", **options):
        return key_of(settings_module.read(options).settings, model)

    assert key() == key() == key(logLevel="debug")
    assert len({key(), key("b"), key(completion={"multiline": "never"}), key(context={"budgetTokens": 300})}) == 4
