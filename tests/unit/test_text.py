"""Documents and positions: any Unicode, any line ends, all three encodings."""

import re
from bisect import bisect_right

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lsp_server.text import Document, Edit, unix

ENCODINGS = ("utf-8", "utf-16", "utf-32")
ODD_TEXT = st.text(st.sampled_from("ab\n\r\f\v\x85\u2028é𝄞\t 语"), max_size=60)


def document(text: str) -> Document:
    return Document("file:///x", "python", 1, text)


def units(text: str, encoding: str) -> int:
    return {"utf-8": len(text.encode()), "utf-16": len(text.encode("utf-16-le")) // 2, "utf-32": len(text)}[encoding]


@pytest.mark.parametrize("encoding", ENCODINGS)
@given(text=ODD_TEXT, data=st.data())
def test_a_position_and_its_offset_are_the_same_place(encoding, text, data):
    # Only the end of a line may stand between \r and \n, which is no place of its own.
    places = [i for i in range(len(text) + 1) if text[i - 1 : i + 1] != "\r\n"]
    offset = data.draw(st.sampled_from(places))
    line, column = document(text).position_at(offset, encoding)
    lines = re.split(r"\r\n|\n|\r", text[:offset])
    assert (line, column) == (len(lines) - 1, units(lines[-1], encoding))
    assert document(text).offset_at(line, column, encoding) == offset


@pytest.mark.parametrize("encoding", ENCODINGS)
@given(text=ODD_TEXT, edits=st.lists(st.tuples(st.integers(0, 60), st.integers(0, 60), ODD_TEXT), max_size=5))
def test_incremental_edits_give_the_same_text_as_replacing_it(encoding, text, edits):
    now = document(text)
    for a, b, new in edits:
        start, end = sorted((min(a, len(now.text)), min(b, len(now.text))))
        if "\r\n" in (now.text[start - 1 : start + 1], now.text[end - 1 : end + 1]):
            continue
        wanted = now.text[:start] + new + now.text[end:]
        edit = Edit(now.position_at(start, encoding), now.position_at(end, encoding), new)
        now = now.apply([edit], now.version + 1, encoding)
        assert now.text == wanted


@pytest.mark.parametrize(
    ("text", "line", "column", "offset"),
    [
        ("a\fb\nc", 1, 0, 4),  # a form feed ends no line
        ("a\u2028b\nc", 1, 0, 4),
        ("abc", 0, 10, 3),  # past the end of the line
        ("abc", 7, 0, 3),  # past the end of the text
        ("abc", -1, 2, 0),
        ("a\r\nb", 0, 9, 1),  # never into the line end
        ("a\rb", 1, 0, 2),
        ("𝄞x", 0, 1, 0),  # in the middle of a surrogate pair
        ("𝄞x", 0, 2, 1),
        ("", 0, 0, 0),
    ],
)
def test_offset_of_a_utf16_position(text, line, column, offset):
    assert document(text).offset_at(line, column, "utf-16") == offset


def test_edits_apply_one_after_the_other():
    edits = [Edit((0, 0), (0, 0), "x\n"), Edit((1, 0), (1, 1), "B")]
    assert document("abc").apply(edits, 2, "utf-16").text == "x\nBbc"


def test_an_edit_without_a_range_replaces_everything():
    changed = document("abc").apply([Edit(None, None, "new")], 5, "utf-8")
    assert (changed.text, changed.version) == ("new", 5)


@pytest.mark.parametrize(("text", "newline"), [("a\r\nb\n", "\r\n"), ("a\nb\r\n", "\n"), ("a\rb", "\r"), ("a", "\n")])
def test_the_newline_of_a_document(text, newline):
    assert document(text).newline == newline


def test_unix_line_ends():
    assert unix("a\r\nb\rc\n") == "a\nb\nc\n"


def test_a_5_mb_line_is_no_trouble():
    text = "x" * 5_000_000 + "𝄞"
    assert document(text).position_at(len(text), "utf-16") == (0, 5_000_002)
    assert document(text).offset_at(0, 5_000_002, "utf-16") == len(text)


@given(
    text=ODD_TEXT, edits=st.lists(st.tuples(st.integers(0, 60), st.integers(0, 60), ODD_TEXT), min_size=1, max_size=8)
)
def test_line_starts_after_edits_are_those_of_the_text(text, edits):
    now = document(text)
    for version, (a, b, new) in enumerate(edits, 2):
        start, end = (now.position_at(min(offset, len(now.text)), "utf-32") for offset in sorted((a, b)))
        now = now.apply([Edit(start, end, new)], version, "utf-32")
        starts = document(now.text).line_starts
        assert [*now.line_starts] == [*starts]
        assert [now.line_of(i) for i in range(len(now.text) + 1)] == [
            bisect_right(starts, i) - 1 for i in range(len(now.text) + 1)
        ]


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_line_starts_after_edits_far_apart(newline):
    now = document(newline.join(f"line {n}" for n in range(5_000)))
    for version, line in enumerate((10, 4_000, 4_001, 2, 4_999, 1_500, 700, 0), 2):
        now = now.apply([Edit((line, 2), (line + 1, 0), f"x{newline}y{newline}{newline}")], version, "utf-16")
        assert [*now.line_starts] == [*document(now.text).line_starts]
