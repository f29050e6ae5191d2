"""What a file defines and imports, as plain values: what an index keeps of many files.

Reads a whole file, in slices between which other threads get a turn. What counts as a definition or an import is
said by `definitions.scm` and `imports.scm` of each language.
"""

from __future__ import annotations

import functools
import re
import threading
from collections.abc import Callable, Iterator
from typing import Literal, TypeAlias

import msgspec
import tree_sitter

from lsp_server.syntax.languages import Language, parser_for, query_for, query_text

Kind: TypeAlias = Literal["function", "method", "class", "extension", "type", "constant", "field", "module"]

SLICE_BYTES = 16_384  # tree-sitter holds the GIL from one read to the next: some 2 ms
QUERY_BYTES = 16_384  # and for as long as a query runs
MAX_SIGNATURE_LINES, MAX_VALUE_LINES, MAX_COMMENT_LINES = 12, 3, 8
MAX_LINE_CHARS = 160
MAX_DEFINITIONS, MAX_IMPORTS = 2000, 500
_LEAVES = ("function", "method")  # what is defined inside one of them is local
_MODULES = ("module",)
_NO_CODE = re.compile(r"""\s*(?:[@/*'"]|#(?!define))""")


class Definition(msgspec.Struct, frozen=True, array_like=True):
    """One definition that other code can name.

    Attributes:
        parent: What it is a member of, `Outer.Inner`; "" at the top level.
        start: Its first line, from 0, with decorators, attributes and a short comment above.
        end: The line after its last.
        skeleton: Its signature as written, with the first line of its docstring or comment.
    """

    name: str
    kind: Kind
    parent: str
    start: int
    end: int
    skeleton: str

    @property
    def owner(self) -> str:
        """The innermost class or module that it is a member of, or ""."""
        return self.parent.rpartition(".")[2]

    @property
    def signature(self) -> str:
        """The skeleton from the line with its name on, without comments, attributes and docstring."""
        lines = [line for line in self.skeleton.split("\n") if not _NO_CODE.match(line)]
        first = next((number for number, line in enumerate(lines) if self.name in line), 0)
        return "\n".join(lines[first:])


class Import(msgspec.Struct, frozen=True, array_like=True):
    """One import: the module as written, and pairs (name in the module, name here).

    ("", x) is the module itself under the name x, ("*", "*") everything, ("default", x) its default export.
    """

    module: str
    names: tuple[tuple[str, str], ...] = ()


class Outline(msgspec.Struct, frozen=True, array_like=True):
    """A file's definitions in file order, and its imports."""

    definitions: tuple[Definition, ...] = ()
    imports: tuple[Import, ...] = ()


Captures: TypeAlias = dict[str, list[tree_sitter.Node]]


@functools.cache
def has_outline(language: Language) -> bool:
    """Whether definitions are known for a language."""
    return bool(query_text(language, "definitions"))


def outline(text: str, language: Language, pause: Callable[[], None] = lambda: None) -> Outline:
    """Read what a file defines and imports. `pause` is called every few milliseconds, and may sleep or raise."""
    return _Reader(text, language, pause).outline()


def outline_of_either(text: str, languages: tuple[Language, ...], pause: Callable[[], None]) -> Outline:
    """Read a file that may be of several languages, as a C header may: the one in which most of it is understood."""
    best: tuple[int, _Reader] | None = None
    for language in languages:
        reader = _Reader(text, language, pause)
        n_errors = reader.n_error_bytes()
        if best is None or n_errors < best[0]:
            best = n_errors, reader
        if n_errors == 0:
            break
    return best[1].outline() if best else Outline()


class _Slices:
    """A source as tree-sitter reads it, piece by piece, with a pause before each."""

    _OF_THREAD = threading.local()

    def __init__(self, source: bytes, pause: Callable[[], None]) -> None:
        self._source, self._pause = source, pause
        # tree-sitter 0.26.1 never lets go of what it is given, so it is given the same buffer each time, always full:
        # the source ends in newlines.
        if not hasattr(self._OF_THREAD, "buffer"):
            self._OF_THREAD.buffer = bytearray(SLICE_BYTES)
        self._buffer: bytearray = self._OF_THREAD.buffer
        self.error: BaseException | None = None

    def __call__(self, at: int, _point: object) -> bytes | bytearray:
        try:
            self._pause()
        except BaseException as error:  # nothing may be raised through tree-sitter
            self.error = error
        if self.error or at >= len(self._source):
            return b""
        self._buffer[:] = self._source[at : at + SLICE_BYTES].ljust(SLICE_BYTES, b"\n")
        return self._buffer


def _span(node: tree_sitter.Node) -> tuple[int, int]:
    """Order by start, and the outer one first."""
    return node.start_byte, -node.end_byte


class _Marks:
    """What stands around definitions: wrappers such as decorators or `export`, docstrings, attributes."""

    def __init__(self) -> None:
        self.extents: dict[tuple[int, int], tree_sitter.Node] = {}
        self.docs: dict[int, tree_sitter.Node] = {}  # by their first byte
        self.attributes: dict[int, int] = {}  # last line to first line

    def take(self, captures: Captures) -> bool:
        """Keep a match if it is one of these."""
        for kind, (node, *_more) in captures.items():
            if kind == "inner":
                self.extents[node.start_byte, node.end_byte] = captures["extent"][0]
            elif kind == "doc":
                self.docs[node.start_byte] = node
            elif kind == "attribute":
                self.attributes[node.end_point.row] = node.start_point.row
            elif kind != "extent":
                return False
        return True


class _Reader:
    """One file being read."""

    def __init__(self, text: str, language: Language, pause: Callable[[], None]) -> None:
        self._source = source = text.replace("\0", " ").encode("utf-8", "replace")
        self._language, self._pause = language, pause

        pause()
        parser = parser_for(language)
        if len(source) <= SLICE_BYTES:
            self._tree = parser.parse(source)
            return
        slices = _Slices(source, pause)
        self._tree = parser.parse(slices)
        if slices.error:
            raise slices.error

    @functools.cached_property
    def _lines(self) -> list[bytes]:
        return self._source.split(b"\n")

    def n_error_bytes(self) -> int:
        """How much of the text does not parse, seen from the outermost levels."""
        root = self._tree.root_node
        if not root.has_error:
            return 0
        nodes = [child for child in root.children if child.has_error]
        nodes += [grandchild for child in nodes for grandchild in child.children if grandchild.has_error]
        return 1 + sum(node.end_byte - node.start_byte for node in nodes if node.is_error)

    def outline(self) -> Outline:
        return Outline(tuple(self._definitions()), tuple(self._imports()))

    def _imports(self) -> Iterator[Import]:
        names: dict[tuple[int, str], dict[tuple[str, str], None]] = {}
        for _pattern, captures in self._matches("imports"):
            module = " ".join(self._text(captures["module"][0]).strip("\"'`<>").split())
            known = names.setdefault((captures["import"][0].start_byte, module), {})
            name, alias, default = (
                self._text(captures[kind][0]) if kind in captures else "" for kind in ("name", "alias", "default")
            )
            if default:
                known["default", default] = None
            elif name or alias:
                known[name, alias or name] = None
        for (_at, module), pairs in list(names.items())[:MAX_IMPORTS]:
            yield Import(module, tuple(pairs))

    def _definitions(self) -> Iterator[Definition]:
        marks = _Marks()
        found: dict[int, tuple[int, tree_sitter.Node, Kind, Captures]] = {}
        for pattern, captures in self._matches("definitions"):
            if marks.take(captures):
                continue
            capture = next(name for name in captures if name.startswith("definition."))
            kind: Kind = capture.removeprefix("definition.")  # type: ignore[assignment]
            at = captures["name"][0].start_byte
            # The first pattern that names something wins; and at a piece's edge one match comes twice.
            if at not in found or pattern < found[at][0]:
                found[at] = pattern, captures[capture][0], kind, captures
        inside: list[tuple[int, Kind, str, int]] = []  # what is open: its end, kind, qualified name, body
        fields = set()
        n_found = 0
        for _pattern, node, kind, captures in sorted(found.values(), key=lambda row: _span(row[1])):
            while inside and inside[-1][0] <= node.start_byte:
                inside.pop()
            name = self._text(captures["name"][0])[:MAX_LINE_CHARS]
            holders = [row for row in inside if row[1] not in _LEAVES]
            is_local = len(holders) < len(inside)
            parent = holders[-1][2] if holders else ""
            body = captures["body"][0].start_byte if "body" in captures else -1
            is_alias = (
                body >= 0 and bool(inside) and inside[-1][3] == body
            )  # `typedef struct a {…} b;`: one body, two names
            if is_alias:
                parent = parent.rpartition(".")[0]
            elif "parent" in captures:
                parent = self._text(captures["parent"][0])
            elif kind == "function" and holders and holders[-1][1] not in _MODULES:
                kind = "method"
            *qualifiers, name = [*parent.replace("::", ".").split("."), *name.split("::")]
            parent = ".".join(filter(None, qualifiers))
            if not is_local and not is_alias:
                inside.append((node.end_byte, kind, f"{parent}.{name}" if parent else name, body))
            is_again = kind == "field" and ((parent, name) in fields or not parent)
            if is_again or (is_local and kind != "field"):
                continue
            if kind == "field":
                fields.add((parent, name))
            start, skeleton = self._skeleton(node, kind, captures, marks)
            end = min(node.end_point.row + (node.end_point.column > 0), len(self._lines))
            yield Definition(name, kind, parent, start, end, skeleton)
            n_found += 1
            if n_found == MAX_DEFINITIONS:
                return

    def _skeleton(self, node: tree_sitter.Node, kind: Kind, captures: Captures, marks: _Marks) -> tuple[int, str]:
        """Return the first line of a definition, and its skeleton."""
        extent = marks.extents.get((node.start_byte, node.end_byte), node)
        row = extent.start_point.row
        before = self._lines[row][: extent.start_point.column]
        indent = before[: len(before) - len(before.lstrip())]
        is_alone = before == indent
        while is_alone and row - 1 in marks.attributes:
            row = marks.attributes[row - 1]
        body = captures["body"][0] if "body" in captures else None
        start_byte = extent.start_byte if row == extent.start_point.row else self._line_start(extent, row)
        text = self._source[start_byte : body.start_byte if body else node.end_byte].rstrip()
        n_lines = MAX_SIGNATURE_LINES if body else MAX_VALUE_LINES
        lines = [self._shown(line) for line in (indent + text.lstrip()).split(b"\n")]
        if kind == "field" and is_alone:
            lines = [self._shown(self._lines[row])]  # with a comment behind it
        elif not body and lines[0].endswith("{"):
            n_lines = 1
        lines = lines[:n_lines]
        doc = marks.docs.get(body.start_byte) if body else None
        if doc:
            lines.append(self._shown(b" " * doc.start_point.column) + self._first_line(doc))
        elif is_alone and kind != "field":
            comment_row, comment = self._comment_above(row)
            if comment:
                lines.insert(0, comment)
                row = comment_row if row - comment_row <= MAX_COMMENT_LINES else row
        return row, "\n".join(lines)

    def _line_start(self, node: tree_sitter.Node, row: int) -> int:
        """Byte offset of a line above a node."""
        above = self._lines[row : node.start_point.row]
        return node.start_byte - node.start_point.column - sum(len(line) + 1 for line in above)

    def _first_line(self, doc: tree_sitter.Node) -> str:
        """Return a docstring with the first line of what it says."""
        text = self._text(doc)
        mark = next((row.quote for row in self._language.strings if row.quote in text[:5]), '"')
        before, _mark, said = text.partition(mark)
        first = next((line.strip() for line in said.split("\n") if line.strip()), "").removesuffix(mark).rstrip()
        return f"{before}{mark}{first[:MAX_LINE_CHARS]}{mark}"

    def _comment_above(self, row: int) -> tuple[int, str]:
        """Return the first line of the comment that ends on the line above, and what it says first."""
        above = row - 1
        if above < 0:
            return row, ""
        line = self._shown(self._lines[above]).strip()
        if line.startswith(self._language.line_comment):
            while above and self._is_line_comment(above - 1):
                above -= 1
            first = self._shown(self._lines[above])
            return (above, first) if any(map(str.isalnum, first)) else (row, "")
        block = self._language.block_comment
        if not block or not line.endswith(block.close):
            return row, ""
        while above and not self._lines[above].lstrip().startswith(block.open.encode()):
            above -= 1
            if row - above > 100:
                return row, ""
        first = self._shown(self._lines[above])
        mark = first.strip().split(" ")[0].removesuffix(block.close)
        said = (self._shown(line).strip(f" \t{block.open}{block.close}") for line in self._lines[above:row])
        text = next(filter(None, said), "")
        indent = first[: len(first) - len(first.lstrip())]
        return (above, f"{indent}{mark} {text} {block.close}") if text else (row, "")

    def _is_line_comment(self, row: int) -> bool:
        return self._lines[row].lstrip().startswith(self._language.line_comment.encode())

    def _shown(self, line: bytes) -> str:
        return line.decode("utf-8", "replace").rstrip()[:MAX_LINE_CHARS] if line.strip() else line.decode()

    def _text(self, node: tree_sitter.Node) -> str:
        return self._source[node.start_byte : node.end_byte].decode("utf-8", "replace")

    def _matches(self, kind: str) -> Iterator[tuple[int, Captures]]:
        query = query_for(self._language, kind)
        for start in range(0, len(self._source), QUERY_BYTES):
            self._pause()
            # A query's own progress callback makes tree-sitter 0.26.1 crash, as do text predicates where the source
            # was read in slices: `(#set! receiver "a|b")` in their place says what the text of @receiver may be.
            cursor = tree_sitter.QueryCursor(query)
            cursor.set_byte_range(start, start + QUERY_BYTES)
            for pattern, captures in cursor.matches(self._tree.root_node):
                allowed = query.pattern_settings(pattern).get("receiver") if "receiver" in captures else None
                if not allowed or self._text(captures["receiver"][0]) in allowed.split("|"):
                    yield pattern, captures
