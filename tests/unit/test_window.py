"""The window around the cursor: anchored, coarse, and never larger than the budget."""

from hypothesis import given
from hypothesis import strategies as st

from lsp_server.context.window import CHARS_PER_TOKEN, MAX_TAIL_CHARS, MAX_TAIL_LINES, place

LINES = "".join(f"line {i} of the text\n" for i in range(400))


def at_line(text: str, line: int) -> int:
    return sum(len(piece) + 1 for piece in text.split("\n")[:line])


def test_typing_keeps_the_anchor_and_the_start():
    cursor = at_line(LINES, 200)
    first = place(LINES, cursor, 1024, 8, None)
    text, before = LINES, first
    for letter in "    return x + 1\n    y":
        text = text[:cursor] + letter + text[cursor:]
        cursor += 1
        now = place(text, cursor, 1024, 8, before)
        assert (now.window.start, now.window.anchor) == (first.window.start, first.window.anchor)
        assert now.window.head(text) == first.head
        assert now.window.tail(text).startswith(first.window.tail(LINES))
        assert now.window.suffix(text) == first.window.suffix(LINES)
        before = now


def test_the_anchor_is_a_line_start_some_lines_above():
    window = place(LINES, at_line(LINES, 200) + 3, 1024, 8, None).window
    assert window.anchor == at_line(LINES, 192)


def test_an_edit_above_the_anchor_moves_it():
    cursor = at_line(LINES, 200)
    before = place(LINES, cursor, 1024, 8, None)
    text = LINES.replace("line 195 ", "LINE 195 ")
    assert place(text, cursor, 1024, 8, before).window == before.window  # below the anchor: the tail
    text = LINES.replace("line 180 ", "LINE 180x ")
    now = place(text, cursor + 1, 1024, 8, before)
    assert now.window.head(text) != before.head
    assert now.window.anchor == at_line(text, 192)


def test_moving_far_down_or_up_moves_the_anchor():
    before = place(LINES, at_line(LINES, 200), 1024, 8, None)
    down = place(LINES, at_line(LINES, 200 + MAX_TAIL_LINES + 1), 1024, 8, before)
    up = place(LINES, at_line(LINES, 150), 1024, 8, before)
    assert down.window.anchor == at_line(LINES, 217)
    assert up.window.anchor == at_line(LINES, 142)


def test_the_start_moves_in_coarse_steps():
    starts = {place(LINES, at_line(LINES, line), 1024, 8, None).window.start for line in range(200, 264)}
    assert len(starts) <= 3


@given(st.text(st.sampled_from("ab\n "), max_size=5000), st.integers(0, 5000), st.integers(64, 400))
def test_the_window_is_ordered_and_within_the_budget(text, cursor, budget):
    cursor = min(cursor, len(text))
    window = place(text, cursor, budget, 8, None).window
    assert 0 <= window.start <= window.anchor <= window.cursor == cursor <= window.end <= len(text)
    n_chars = budget * CHARS_PER_TOKEN
    assert len(window.head(text)) <= n_chars + 512
    assert len(window.tail(text)) <= MAX_TAIL_CHARS
    assert len(window.suffix(text)) <= n_chars


def test_one_endless_line():
    text = "x" * 5_000_000
    window = place(text, 2_500_000, 1024, 8, None).window
    assert window.end - window.start < 6000
    again = place(text, 2_500_001, 1024, 8, None).window
    assert (again.start, again.anchor) == (window.start, window.anchor)


def test_the_near_window_lies_in_the_full_one_around_the_same_anchor():
    placed = place(LINES, at_line(LINES, 200), 1024, 8, None)
    full, near = placed.window, placed.near
    assert full.start < near.start < near.anchor == full.anchor
    assert near.end < full.end
    assert 400 < near.end - near.start < 1000
    again = place(LINES[: full.cursor] + "x" + LINES[full.cursor :], full.cursor + 1, 1024, 8, placed)
    assert again.near.start == near.start


def test_a_small_text_is_seen_whole_by_both():
    placed = place("a = 1\nb = 2\n", 6, 1024, 8, None)
    assert placed.window == placed.near
