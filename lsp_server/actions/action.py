"""An action as its Markdown file describes it: a header between `---` lines, then what the model is asked.

```
---
title: Rename for clarity
edits: code
languages: python, go
---
{code}

Give the variables in this code better names. …
```
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

from lsp_server.errors import KrukError, nearest
from lsp_server.syntax.languages import Language

Edits: TypeAlias = Literal["nothing", "code", "body", "comment", "tests"]
Need: TypeAlias = Literal["diagnostics", "instruction"]

KEYS = ("title", "kind", "languages", "edits", "needs")
PLACEHOLDERS = ("code", "language", "name", "file", "diagnostics", "instruction", "answer_language")
_KIND = re.compile(r"[A-Za-z][\w-]*(\.[A-Za-z][\w-]*)*")
_PLACEHOLDER = re.compile(r"\{(" + "|".join(PLACEHOLDERS) + r")\}")
_DEFAULT_KINDS: Mapping[str, str] = {
    "nothing": "kruk", "code": "refactor.rewrite.kruk", "body": "refactor.rewrite.kruk",
    "comment": "refactor.rewrite.kruk", "tests": "kruk",
}  # fmt: skip


@dataclass(frozen=True)
class Action:
    """One action.

    Attributes:
        name: The file's, without its ending; the command of a built-in one is `kruk.<name>`.
        kind: A code action kind of LSP.
        edits: What the answer is: an explanation (`nothing`), the `code` anew, or its `body` anew (a definition stays
            one, with its first line), a doc `comment` for it, or `tests` for their own file.
        languages: Language ids as clients send them, or names of languages; none: all.
        needs: Without which it is not offered.
        words: What the model is asked, with PLACEHOLDERS.
    """

    name: str
    title: str
    kind: str
    edits: Edits
    languages: tuple[str, ...]
    needs: Need | None
    words: str

    def fits(self, language_id: str, language: Language | None) -> bool:
        """Whether it is for a language."""
        names = {language_id, *((language.name, *language.language_ids) if language else ())}
        return not self.languages or not names.isdisjoint(self.languages)

    def filled(self, values: Mapping[str, str]) -> str:
        """The words with values for the placeholders; what looks like one inside a value stays."""
        return _PLACEHOLDER.sub(lambda match: values.get(match[1], ""), self.words).strip()


def read_action(name: str, text: str) -> Action:
    """Read an action file.

    Raises KrukError that says in which line of the file what is wrong.
    """
    lines = text.removeprefix("\ufeff").splitlines()
    if not lines or lines[0].strip() != "---":
        raise _wrong(name, 1, "the first line must be `---`", "Begin with a header: `---`, `title: …`, `---`")
    end = next((n for n, line in enumerate(lines[1:], 1) if line.strip() == "---"), None)
    if end is None:
        raise _wrong(name, len(lines), "the header has no end", "Close it with a line `---`")
    values: dict[str, tuple[int, str]] = {}
    for number, line in enumerate(lines[1:end], 2):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        key, colon, value = (part.strip() for part in line.partition(":"))
        if not colon:
            raise _wrong(name, number, "this is no `key: value`", f"The keys are {_listed(KEYS)}")
        if key not in KEYS:
            raise _wrong(name, number, f"there is no key `{key}`", nearest(key, KEYS) or f"There are {_listed(KEYS)}")
        if key in values:
            raise _wrong(name, number, f"`{key}` is there twice")
        values[key] = number, _unquoted(value)
    words = "\n".join(lines[end + 1 :]).strip()
    if not values.get("title", (0, ""))[1]:
        raise _wrong(name, values.get("title", (1, ""))[0], "it has no title", "Add `title: …` to the header")
    if not words:
        raise _wrong(name, len(lines), "it asks the model nothing", "Write below the header what to ask")
    edits = _one_of(name, "edits", values, get_args(Edits)) or "nothing"
    number, kind = values.get("kind", (0, _DEFAULT_KINDS[edits]))
    if not _KIND.fullmatch(kind):
        raise _wrong(name, number, f"`{kind}` is no kind", "Write one such as `refactor.rewrite`")
    languages = values.get("languages", (0, ""))[1].strip("[]")
    return Action(
        name=name,
        title=values["title"][1],
        kind=kind,
        edits=edits,  # type: ignore[arg-type]  # it is one of them
        languages=tuple(filter(None, (_unquoted(part.strip()) for part in languages.split(",")))),
        needs=_one_of(name, "needs", values, get_args(Need)),  # type: ignore[arg-type]
        words=words,
    )


def _one_of(name: str, key: str, values: Mapping[str, tuple[int, str]], allowed: tuple[str, ...]) -> str | None:
    number, value = values.get(key, (0, ""))
    if key in values and value not in allowed:
        raise _wrong(name, number, f"`{key}` cannot be `{value}`", f"It is one of {_listed(allowed)}")
    return value or None


def _unquoted(value: str) -> str:
    return value[1:-1] if len(value) > 1 and value[0] == value[-1] and value[0] in "\"'" else value


def _listed(names: tuple[str, ...]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _wrong(name: str, line: int, what: str, hint: str = "") -> KrukError:
    return KrukError(f"The action `{name}.md`, line {max(line, 1)}: {what}", hint)
