"""What a model writes is rendered by editors: it must be text there, and nothing else."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from lsp_server.chat.markdown import Harmless, fenced, harmless, printable

RENDERER = MarkdownIt("commonmark", {"html": True}).enable("table")
PIECES = [
    "`", "``", "```", "````", "~~~", "\n", "\n\n", "    ", "  ", "\t", "- ", "> ", "| ", "1. ", "# ", "## You", "\\",
    "<img src=x>", "<!--", "<", ">", "![a](http://x/y.png)", "!", "[", "]", "(", ")", ":", "[a](command:x)", "&#106;",
    "[a](javascript:x)", "[a](https://x.y)", "[r]: javascript:x", "[r]", "javascript:", "é", "|---|---|", "\r", "x",
]  # fmt: skip
TEXTS = st.lists(st.sampled_from(PIECES), max_size=14).map("".join)


def dangers(markdown):
    """What a renderer would make of a text that it must not."""
    found = []
    for block in RENDERER.parse(markdown):
        for token in [block, *(block.children or [])]:
            if token.type in ("html_block", "html_inline", "image"):
                found.append(token.content)
            if token.type == "link_open" and not re.match(r"https?://|mailto:|[^:]*\Z", str(token.attrs["href"])):
                found.append(token.attrs["href"])
    return found


@given(TEXTS)
@settings(max_examples=500, deadline=None)
def test_nothing_but_text_is_left(text):
    assert dangers(harmless(text)) == []


@given(TEXTS, st.lists(st.integers(0, 60), max_size=8))
@settings(max_examples=300, deadline=None)
def test_pieces_give_what_the_whole_gives(text, cuts):
    stream, places = Harmless(), sorted(cuts)
    pieces = [text[a:b] for a, b in zip([0, *places], [*places, len(text)], strict=True)]
    assert "".join(map(stream.feed, pieces)) + stream.end() == harmless(text)


@given(TEXTS)
@settings(max_examples=200, deadline=None)
def test_what_follows_an_answer_is_outside_of_it(text):
    tokens = RENDERER.parse(harmless(text) + "\n\n## Next\n")
    assert [token.tag for token in tokens][-3:] == ["h2", "", "h2"]
    assert tokens[-2].content == "Next" and tokens[-3].level == 0


@given(TEXTS)
@settings(max_examples=200, deadline=None)
def test_a_quoted_text_stays_in_its_fence(text):
    tokens = RENDERER.parse("Look:\n\n" + fenced(text, "python") + "\n\nWhat is it?")
    assert [token.type for token in tokens if token.type == "fence"] == ["fence"]
    assert tokens[-2].content == "What is it?"


@pytest.mark.parametrize(
    "text",
    [
        "Use `List<int>` and **bold**, a < b, see [the docs](https://docs.python.org/3/) or [it](src/a.py).",
        "```python\nif a < b:\n    print('<b>![x](y)')\n```\n\nThen:\n\n1. one\n2. two\n",
        "| a | b |\n|---|---|\n| `x` | 2 |\n",
        "A `` ` `` and \\* and 3! [x]",
    ],
)
def test_ordinary_answers_are_left_as_they_are(text):
    assert harmless(text) == text


def test_an_answer_cannot_begin_a_turn():
    assert harmless("ok\n## You\nrm -rf") == "ok\n\\## You\nrm -rf"
    assert harmless("```md\n## You\n```") == "```md\n## You\n```"


def test_a_fence_in_a_list_comes_to_the_margin():
    assert harmless("1. do\n    ```c\n    a<b>\n    ```\n2. x") == "1. do\n```c\na<b>\n```\n2. x"


def test_text_is_shown_as_soon_as_its_meaning_is_known():
    stream = Harmless()
    assert [stream.feed(piece) for piece in ("The `a", "b` is", " <", "b", "\n##", " x\n")] == [
        "The ", "`ab` is", " ", "\\<b", "\n", "## x\n",
    ]  # fmt: skip


def test_a_terminal_gets_no_control_characters():
    assert printable("a\x1b[31mb\x9b\x07\r\n\tc") == "a[31mb\n\tc"
