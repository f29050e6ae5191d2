"""A conversation as a Markdown document: `## You` and `## Kruk` above what each has said.

Headings within code blocks are text. What stands above the first heading is not part of the conversation.
"""

from __future__ import annotations

import re

from lsp_server.chat.conversation import Turn
from lsp_server.chat.markdown import Fences
from lsp_server.text import Document, unix

YOU, KRUK = "## You", "## Kruk"
NEW = f"""# Chat

Write below, then run the code action "Send". `@path/file.py:10-20`, `@name`, `@selection`, `@diagnostics` and
`@diff` show the model more.

{YOU}

"""
NOTE = "> "  # begins the line above an answer that says what the model has seen

_HEADING = re.compile(r" {0,3}#{1,3}[ \t]+(you|kruk)[ \t]*:?[ \t]*#*[ \t]*", re.IGNORECASE)
_YOURS = re.compile(rf"^{YOU}[ \t]*:?[ \t]*\r?$", re.IGNORECASE | re.MULTILINE)
_NOTE = re.compile(rf"\A\s*{NOTE}(?:Seen: |Not shown: |The \d+ oldest |Your message ).*$", re.MULTILINE)
_SUFFIXES = (".md", ".markdown", ".mkd")


def is_chat(document: Document) -> bool:
    """Whether a document is a conversation: Markdown with a heading of the user's."""
    is_markdown = document.language_id == "markdown" or document.uri.lower().endswith(_SUFFIXES)
    return is_markdown and bool(_YOURS.search(document.text))


def turns(text: str) -> list[Turn]:
    """Read a conversation. Turns of one side in a row are one; without any heading all of it is a question."""
    fences, sections = Fences(), [("user", list[str]())]
    has_heading = False
    for line in unix(text).split("\n"):
        is_code = fences.see(line)
        if not is_code and (heading := _HEADING.fullmatch(line)):
            role = "user" if heading[1].lower() == "you" else "assistant"
            if not has_heading:
                sections.clear()  # what stands above
                has_heading = True
            if not sections or sections[-1][0] != role:
                sections.append((role, []))
        else:
            sections[-1][1].append(line)
    found: list[Turn] = []
    for role, lines in sections:
        content = "\n".join(lines)
        content = (_NOTE.sub("", content, count=1) if role == "assistant" else content).strip()
        if found and found[-1].role == role:
            content = f"{found.pop().text}\n\n{content}".strip()
        if content or role == "user":
            found.append(Turn(role, content))
    return found


def opening(text: str) -> str:
    """What has to be written behind a question, in LF, so that an answer can follow."""
    fences = Fences()
    for line in unix(text).split("\n"):
        fences.see(line)
    closing = f"\n{fences.open}" if fences.open else ""
    n_breaks = len(unix(text)) - len(unix(text).rstrip("\n"))
    return f"{closing}{chr(10) * max(0, 2 - (0 if closing else n_breaks))}{KRUK}\n\n"
