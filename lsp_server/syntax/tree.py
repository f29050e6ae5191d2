"""What the syntax tree of a piece of text says, as plain values; no tree-sitter node leaves this package.

All offsets are code points into the text that was parsed. A whole file costs too much at every key stroke, so
what runs per key stroke parses a `window` of it.
"""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from typing import Literal

import tree_sitter

from lsp_server.syntax.languages import Language, query_for
from lsp_server.syntax.reparse import Parsed, parse_again, parse_fresh
from lsp_server.text import unix

Region = Literal["code", "string", "comment"]

WINDOW_BEFORE = 8_000
WINDOW_AFTER = 4_000
NEAR_BEFORE = 3_000
NEAR_AFTER = 1_000


@dataclass(frozen=True, slots=True)
class Window:
    """The part of a text around a cursor.

    Attributes:
        text: The part itself.
        start: Its offset in the whole text.
        cursor: The cursor's offset in the part.
        is_whole_start: Whether nothing that could matter comes before it: it begins at the start of the text
            or of a line that is not indented.
    """

    text: str
    start: int
    cursor: int
    is_whole_start: bool

    @property
    def prefix(self) -> str:
        """The part before the cursor."""
        return self.text[: self.cursor]

    @property
    def suffix(self) -> str:
        """The part after the cursor."""
        return self.text[self.cursor :]


@dataclass(frozen=True, slots=True)
class Span:
    """A piece of the text, [start, end)."""

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Block:
    """The body of a function, class, loop…

    Attributes:
        start: Where the body begins: at its first statement, or after its opening brace.
        end: Where it ends: after its last statement, or before its closing brace.
        n_statements: What it holds; comments and bare strings (docstrings) do not count.
    """

    start: int
    end: int
    n_statements: int


def surroundings(text: str, offset: int) -> tuple[str, str]:
    """What stands before and behind an offset, with newlines for line ends: as much as a `window` takes.

    One character more, so that it sees that the text is cut. Costs the same in a file of any size.
    """
    before = unix(text[max(0, offset - 2 * WINDOW_BEFORE - 3) : offset])  # a line end may be two characters
    behind = unix(text[offset : offset + 2 * WINDOW_AFTER + 3])
    return before[-WINDOW_BEFORE - 1 :], behind[: WINDOW_AFTER + 1]


def window(
    prefix: str, suffix: str, language: Language | None, before: int = WINDOW_BEFORE, after: int = WINDOW_AFTER
) -> Window:
    """The part of `prefix + suffix` around the cursor between them, at most `before + after` code points.

    It begins at the earliest line within reach that starts at column 0 with something other than a closing
    bracket, since that is most likely the start of a definition; else at the earliest that begins one as a word
    says, since any other may stand in a string or comment. It ends at a line end if one is in reach.
    """
    start = 0
    is_whole_start = True
    if len(prefix) > before:
        earliest = len(prefix) - before
        start = _top_level_start(prefix, earliest)
        is_whole_start = start >= 0
        if not is_whole_start:
            start = max(earliest, _definition_start(prefix, earliest, language))
    end = len(suffix)
    if end > after:
        line_end = suffix.rfind("\n", 0, after)
        end = line_end + 1 if line_end >= 0 else after
    return Window(prefix[start:] + suffix[:end], start, len(prefix) - start, is_whole_start)


def near_window(prefix: str, suffix: str, language: Language | None) -> Window:
    """The part to parse at each key stroke: what a tree says of the cursor shows close by, and parsing costs most."""
    return window(prefix, suffix, language, NEAR_BEFORE, NEAR_AFTER)


@functools.lru_cache(maxsize=16)
def parse(text: str, language: Language) -> SyntaxTree:
    """The syntax tree of a text. The last few are kept: one completion asks for the same window again."""
    return SyntaxTree(text, language)


class SyntaxTree:
    """A parsed text; immutable for its users, and answers only in code points."""

    def __init__(self, text: str, language: Language) -> None:
        self._text = text
        self._language = language
        # A lone surrogate becomes "?" and a NUL, at which a grammar may end a string, a space: offsets stay right.
        self._source = text.replace("\0", " ").encode("utf-8", "replace")
        self._parsed: Parsed | None = None

    @property
    def has_errors(self) -> bool:
        """Whether any place does not parse; while somebody types, far cheaper than all other answers."""
        if self._parsed is None:
            self._parsed = parse_again(self._source, self._language)
        return self._parsed.has_errors

    @functools.cached_property
    def n_errors(self) -> int:
        """How many places do not parse: ERROR nodes and tokens that are missing."""
        if not self.has_errors:
            return 0
        n_errors = 0
        nodes = [self._tree.root_node]
        while nodes:
            node = nodes.pop()
            if node.is_error or node.is_missing:
                n_errors += 1
            if node.has_error:
                nodes.extend(node.children)
        return n_errors

    def region_at(self, offset: int) -> Region:
        """Whether a character typed at `offset` would be code, or part of a string or comment."""
        best: tuple[int, Region] = (len(self._source) + 1, "code")
        at = self._to_bytes(offset)
        for name, node in self._captures("regions", at):
            # At the end of a line comment the cursor is still in it; after a quote it has left the string.
            ends_line = name == "comment" and self._source[at : at + 1] in (b"", b"\n", b"\r")
            closed_block = self._source[node.start_byte : node.end_byte].endswith(_block_close(self._language))
            is_inside = node.start_byte < at and (
                at < node.end_byte or (at == node.end_byte and ends_line and not closed_block)
            )
            if is_inside and node.end_byte - node.start_byte < best[0]:
                region: Region = "comment" if name == "comment" else "string" if name == "string" else "code"
                best = (node.end_byte - node.start_byte, region)
        return best[1]

    def enclosing_block(self, offset: int) -> Block | None:
        """The innermost body that `offset` is in: between its braces, or from first to last statement."""
        at = self._to_bytes(offset)
        nodes = [node for _name, node in self._captures("blocks", at, "block")]
        bodies = [(start, end, node) for node in nodes for start, end in _interiors(node) if start <= at <= end]
        if not bodies:
            return None
        start, end, node = min(bodies, key=lambda body: body[1] - body[0])
        return Block(self._to_offset(start), self._to_offset(end), self._n_statements(node, start, end))

    def enclosing_definition(self, offset: int) -> Span | None:
        """The innermost function, method, class… that `offset` is in."""
        at = self._to_bytes(offset)
        nodes = [node for _name, node in self._captures("blocks", at, "definition")]
        holding = [node for node in nodes if node.start_byte <= at <= node.end_byte]
        if not holding:
            return None
        node = min(holding, key=lambda found: found.end_byte - found.start_byte)
        return Span(self._to_offset(node.start_byte), self._to_offset(node.end_byte))

    @property
    def _tree(self) -> tree_sitter.Tree:
        if self._parsed is None or (self._parsed.has_errors and not self._parsed.is_fresh):
            self._parsed = parse_fresh(self._source, self._language)
        return self._parsed.tree

    def _captures(self, kind: str, at: int, name: str = "") -> list[tuple[str, tree_sitter.Node]]:
        cursor = tree_sitter.QueryCursor(query_for(self._language, kind))
        cursor.set_byte_range(max(at - 1, 0), at + 1)
        captures = cursor.captures(self._tree.root_node)
        return [(found, node) for found, nodes in captures.items() if name in ("", found) for node in nodes]

    def _n_statements(self, block: tree_sitter.Node, start: int, end: int) -> int:
        cursor = tree_sitter.QueryCursor(query_for(self._language, "regions"))
        cursor.set_byte_range(start, max(end, start + 1))
        quiet = {
            (node.start_byte, node.end_byte)
            for name, nodes in cursor.captures(block).items()
            if name != "code"
            for node in nodes
        }
        # Braces that belong to the node itself (Go's `switch x {`): what comes before them is the header.
        inside = [node for node in block.named_children if node.start_byte >= start and node.end_byte <= end]
        if len(inside) == 1 and inside[0].type in ("statement_list", "statements"):
            inside = inside[0].named_children
        return sum(not _is_quiet(node, quiet, self._source) for node in inside)

    def _to_bytes(self, offset: int) -> int:
        if len(self._source) == len(self._text):
            return offset
        return len(self._text[: max(0, offset)].encode("utf-8", "replace"))

    def _to_offset(self, byte_offset: int) -> int:
        if len(self._source) == len(self._text):
            return byte_offset
        return len(self._source[:byte_offset].decode("utf-8", "replace"))


def _interiors(block: tree_sitter.Node) -> list[tuple[int, int]]:
    """Byte offsets between each pair of braces that the node itself holds, or of all of it.

    Swift's `if a {…} else {…}` holds two pairs.
    """
    braces = [node for node in block.children if node.type in ("{", "}", "{|", "|}")]
    pairs = zip(braces[::2], braces[1::2], strict=False)
    return [(opener.end_byte, closer.start_byte) for opener, closer in pairs] or [(block.start_byte, block.end_byte)]


def _is_quiet(node: tree_sitter.Node, quiet: set[tuple[int, int]], source: bytes) -> bool:
    """Whether a statement is only a comment or a bare string."""
    end = node.end_byte
    while source[end - 1 : end] == b";":
        end -= 1
    return (node.start_byte, end) in quiet or (node.start_byte, node.end_byte) in quiet


def _block_close(language: Language) -> bytes:
    # A comment never ends with the impossible byte, where there are no block comments.
    return language.block_comment.close.encode() if language.block_comment else b"\xff"


def _top_level_start(prefix: str, at: int) -> int:
    """The offset of the first line after `at` that begins at column 0, or -1."""
    while (line_end := prefix.find("\n", at)) >= 0:
        at = line_end + 1
        if at < len(prefix) and prefix[at] not in " \t\r\n)]}":
            return at
    return -1


def _definition_start(prefix: str, at: int, language: Language | None) -> int:
    """The offset of the first line after `at` that begins with a word for a definition, or -1."""
    found = _begun(language.definition_words).search(prefix, at) if language and language.definition_words else None
    return found.end() if found else -1


@functools.cache
def _begun(words: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile(rf"\n(?=[ \t]*(?:{'|'.join(map(re.escape, words))})\s)")
