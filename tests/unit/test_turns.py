"""A conversation read from Markdown, whatever people make of it."""

import pytest

from lsp_server.chat.document import KRUK, NEW, YOU, is_chat, opening, turns
from lsp_server.text import Document


def read(text):
    return [(turn.role, turn.text) for turn in turns(text)]


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("# Chat\n\nintro\n\n## You\n\nHi é 😀\n\n## Kruk\n\nHello\n\n## You\n\nBye\n",
         [("user", "Hi é 😀"), ("assistant", "Hello"), ("user", "Bye")]),
        ("## You\r\n\r\nHi\r\nthere\r\n\r\n## Kruk\r\nyes\r\n## You\r\n",
         [("user", "Hi\nthere"), ("assistant", "yes"), ("user", "")]),
        ("Just a question", [("user", "Just a question")]),
        ("", [("user", "")]),
        (NEW, [("user", "")]),
        ("  # you:\nlow\n### KRUK ###\nhigh", [("user", "low"), ("assistant", "high")]),
        ("## You\na\n## You\nb\n", [("user", "a\nb")]),
        ("## You\n## You and me\n```\n## Kruk\n```\n", [("user", "## You and me\n```\n## Kruk\n```")]),
        ("## You\nq\n## Kruk\n> Seen: a.py (3 tokens).\n\nyes\n> Seen: x",
         [("user", "q"), ("assistant", "yes\n> Seen: x")]),
        ("## You\nq\n## Kruk\n\n## You\nr", [("user", "q\n\nr")]),
        ("## You\nq\n\n## You\n\n", [("user", "q")]),
    ],
)  # fmt: skip
def test_turns(text, wanted):
    assert read(text) == wanted


@pytest.mark.parametrize("question", ["Hi", "Hi\n", "Hi\n\n", "Hi\r\n", "```python\nopen", "~~~~\n```\nopen\n"])
def test_an_answer_stands_apart_from_its_question(question):
    text = f"{YOU}\n\n{question}"
    after = (text + opening(text)).replace("\r\n", "\n")
    assert after.endswith(f"\n\n{KRUK}\n\n") and not after.endswith(f"\n\n\n{KRUK}\n\n")
    assert read(f"{after}Answer\n\n{YOU}\n\n")[1:] == [("assistant", "Answer"), ("user", "")]


@pytest.mark.parametrize(
    ("uri", "language", "text", "wanted"),
    [
        ("file:///c.md", "", NEW, True),
        ("file:///c", "markdown", "## You\n", True),
        ("file:///c.md", "markdown", "# A readme\n\nHow you\n", False),
        ("file:///c.md", "markdown", "# A readme\n\n## You can\n", False),
        ("file:///c.md", "markdown", "## You\r\nHi", True),
        ("file:///c.py", "python", "## You\n", False),
    ],
)
def test_which_documents_are_conversations(uri, language, text, wanted):
    assert is_chat(Document(uri, language, 1, text)) == wanted
