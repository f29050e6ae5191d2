"""Write tests: into the file where the project keeps them, with the imports that they need.

The model is made to begin its answer with the file's head, up to the first test's name. Sees the workspace's folder
through `Files`, since what is open in the editor counts more than what is on disk.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from lsp_server.actions.ask import Count, OnText, ask
from lsp_server.actions.languages import Tests, habits
from lsp_server.actions.reply import FenceWatch, code_in, fence_for
from lsp_server.actions.target import Target, tree_of
from lsp_server.chat.template import Message
from lsp_server.errors import KrukError
from lsp_server.model.base import Model
from lsp_server.model.states import States
from lsp_server.model.worker import Steps
from lsp_server.syntax.definitions import Import, outline
from lsp_server.syntax.languages import Language
from lsp_server.syntax.problems import first_problem
from lsp_server.syntax.scan import CLOSER_OF, scan

MAX_TOKENS = 640
TRIES = 2
MAX_TESTS = 6  # a small model goes on for ever
_NO_NAME = re.compile(r"\W+")


@dataclass(frozen=True)
class TestFile:
    """Where tests go.

    Attributes:
        path: The file's.
        text: What it holds; None when it is made anew.
        head: What the new text begins with: imports, and the first test's beginning.
        imports: The part of it that an existing file may lack.
    """

    path: Path
    text: str | None
    head: str
    imports: str


@dataclass(frozen=True)
class TestsOutcome:
    """The whole new text of a test file, or why there is none."""

    text: str = ""
    refusal: str = ""
    count: Count | None = None


def test_file(target: Target, path: Path, root: Path | None, read: Callable[[Path], str | None]) -> TestFile:
    """Find where tests of the target go. `read` gives a file's text, None when there is no such file.

    Raises KrukError when the language's habits are not known, or the target has no name.
    """
    tests = habits(target.language).tests
    if tests is None:
        raise KrukError(
            f"Kruk does not know how tests are written in `{target.document.language_id}`", "Ask in a chat."
        )
    if not target.name:
        raise KrukError("There is no definition here to test", "Put the cursor into a function or class.")
    root = root if root and path.is_relative_to(root) else path.parent
    place = _place(tests, path, root)
    text = read(place)
    name = _NO_NAME.sub("_", target.name)
    if text is not None and tests.is_closed:
        place = place.with_name(f"{place.stem}_{name}{place.suffix}")
        text = read(place)
        if text is not None:
            raise KrukError(f"`{place.name}` is there already", "Remove it, or write the tests by hand.")
    imports = _imports(tests, target, path, place, root, read)
    if text is not None and (not tests.first_import or imports in text):
        imports = ""
    values = {"name": name, "file_stem": place.stem}
    return TestFile(place, text, _filled(tests.head, values), imports)


def write_tests(
    target: Target, file: TestFile, words: str, states: States, on_text: OnText = lambda _: None
) -> Callable[[Model], Steps[TestsOutcome]]:
    """Make the work of writing them."""
    tests = habits(target.language).tests
    assert tests

    def start(model: Model) -> Steps[TestsOutcome]:
        count, turns, problem = Count(), [Message("user", words)], ""
        fence = fence_for(target.code)
        shown = f"{file.imports}{_gap(target)}{file.head}" if file.imports else file.head
        begins = f"{fence}{target.document.language_id}\n{shown}"
        imported = outline(target.document.text, target.language).imports if target.language else ()
        for _ in range(TRIES):
            watch = _Watch(fence, tests.each)
            generation = yield from ask(
                model, turns, MAX_TOKENS, on_text, states, begins=begins, stop=watch, count=count
            )
            code = code_in(generation.text)
            code = code[code.find(file.head) :] if file.head in code else code
            if not code.removeprefix(file.head).strip():
                return TestsOutcome(refusal="The model wrote no tests.", count=count)
            for kept in _shorter(code, file, target, tests, generation.ended_by == "length" or watch.is_enough):
                also = [needed for mark, needed in tests.also.items() if re.search(mark, kept)]
                also += [needed for needed in _imported_again(kept, imported, tests) if needed not in also]
                text = _put_together(file, tests, kept, also, _gap(target))
                if not (found := _problem(text, file.text or "", target)):
                    return TestsOutcome(text, count=count)
                problem = problem or found
            problem = problem or "the first test has no end"
            wanted = f"This does not parse: {problem}. Reply with the whole corrected test file in one code block."
            turns = [*turns[:1], Message("assistant", generation.text), Message("user", wanted)]
        return TestsOutcome(refusal=f"What the model wrote does not parse, twice: {problem}.", count=count)

    return start


def _place(tests: Tests, path: Path, root: Path) -> Path:
    """The first of the usual files that is there, or whose neighbours are, or whose folder is."""
    folder = PurePosixPath(path.parent.relative_to(root).as_posix())
    values = {
        "dir": str(folder),
        "test_dir": "/".join("test" if part == "main" else part for part in folder.parts) or ".",
        "stem": path.stem,
        "ext": path.suffix.removeprefix("."),
    }
    places = [root / PurePosixPath(_filled(pattern, values)) for pattern in tests.files]
    likes = [root / PurePosixPath(_filled(pattern, values | {"stem": "*"})) for pattern in tests.files]
    for place in places:
        if place.is_file():
            return place
    for place, like in zip(places, likes, strict=True):
        if like.parent.is_dir() and any(found != path for found in like.parent.glob(like.name)):
            return place
    for place, pattern in zip(places, tests.files, strict=True):
        if "{dir}" not in pattern.rpartition("/")[0] and place.parent.is_dir():
            return place
    own_folder = [place for place in places if place.parent == path.parent]
    return own_folder[0] if own_folder else places[0]


def _imports(
    tests: Tests, target: Target, path: Path, place: Path, root: Path, read: Callable[[Path], str | None]
) -> str:
    source = target.document.text
    package = re.search(tests.package, source, re.M) if tests.package else None
    module = _python_module(path, root) if tests.module == "python" else _path_between(tests, place, path)
    values = {
        "name": target.name, "module": module, "package": package[1] if package else "", "file_stem": place.stem
    }  # fmt: skip
    lines = [] if tests.package and not package else [_filled(tests.imports, values)]
    if tests.package and not package:
        lines = [_filled(line, values) for line in tests.imports.split("\n") if "{package}" not in line]
    for runner in tests.runners:
        text = read(root / runner.file) if runner.file else ""
        if text is not None and re.search(runner.mark, text):
            lines.insert(0, runner.imports)
            break
    imports = "\n".join(filter(None, lines)).strip()
    if tests.old_style and re.search(tests.old_style.mark, source):
        for pattern, replacement in tests.old_style.replace:
            imports = re.sub(pattern, replacement, imports)
    return imports


def _imported_again(code: str, imported: Iterable[Import], tests: Tests) -> Iterator[str]:
    """Lines that import what the source does, where tests use it; not by a relative path, which leads elsewhere."""
    used = {*re.findall(r"\w+", code)}
    for found in imported:
        if found.module.startswith("."):
            continue
        for there, here in found.names or (("", re.split(r"[./]", found.module)[-1]),):
            is_renamed = bool(found.names) and there != here
            form = getattr(tests.again, ("name" if there else "module") + ("_as" if is_renamed else ""))
            if form and here in used:
                yield _filled(form, {"module": found.module, "there": there, "here": here})


def _python_module(path: Path, root: Path) -> str:
    """The dotted name: from the outermost package's folder on, or from the root for a file in a plain folder."""
    top = path.parent
    if not (top / "__init__.py").is_file():
        top = root / "src" if path.is_relative_to(root / "src") else root
    while (top / "__init__.py").is_file() and top != top.parent:
        top = top.parent
    parts = path.with_suffix("").relative_to(top).parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 1 else parts)


def _path_between(tests: Tests, place: Path, path: Path) -> str:
    """The path from the tests to the source, as code writes it."""
    bare = path.with_suffix("") if path.suffix.removeprefix(".") in tests.drops else path
    relative = os.path.relpath(bare, place.parent).replace(os.sep, "/")
    return relative if relative.startswith(".") else f"./{relative}"


def _filled(pattern: str, values: dict[str, str]) -> str:
    return re.sub(r"\{(\w+)\}", lambda match: values.get(match[1], match[0]), pattern)


class _Watch(FenceWatch):
    """A stop rule: the fence is closed, or there are enough tests."""

    def __init__(self, fence: str, each: str) -> None:
        super().__init__(fence)
        self._each = each

    @property
    def is_enough(self) -> bool:
        """Whether there are more tests than are wanted, the last one perhaps not whole."""
        return f"\n{self.said}".count(f"\n{self._each}") > MAX_TESTS

    def __call__(self, new: str) -> bool:
        return super().__call__(new) or self.is_enough


def _shorter(code: str, file: TestFile, target: Target, tests: Tests, is_cut_off: bool) -> Iterator[str]:
    """The code, if its last test is whole; with fewer tests; last, with a test that ends sooner and still tests."""
    n_head = len(file.head)
    if not is_cut_off:
        yield code
    for found in reversed(list(re.finditer(f"\n{re.escape(tests.each)}", code))):
        if found.start() >= n_head:  # the first test, which the head begins, stays
            yield "\n".join(filter(None, (code[: found.start()].rstrip(), tests.tail)))
    lines = code.split("\n")
    for n in range(len(lines) - 1, 0, -1):
        kept = "\n".join(lines[:n])
        if not re.search(rf"\b{re.escape(target.name)}\b", kept):
            return
        yield kept.rstrip() + _closers(kept, target.language)


def _closers(code: str, language: Language | None) -> str:
    """What closes the brackets that are open at the end of a line, each where the line of its opener begins."""
    lines: list[str] = []
    found = scan(code, language)
    for n_open, opener in reversed(list(enumerate(found.state.open_brackets, 1))):
        opened = (it.offset for it in found.brackets if len(it.open_after) == n_open and it.char == opener)
        at = max(opened, default=0)  # what is open far out is forgotten
        line = code[code.rfind("\n", 0, at) + 1 : at]
        indent = line[: len(line) - len(line.lstrip())]
        lines.append(indent + CLOSER_OF[opener])
    return "".join(f"\n{line}" for line in lines)


def _gap(target: Target) -> str:
    """What stands between two functions at the top level."""
    return "\n\n\n" if target.language and target.language.block_style == "indent" else "\n\n"


def _put_together(file: TestFile, tests: Tests, code: str, also: list[str], gap: str) -> str:
    if file.text is None:
        imports = [file.imports, *also] if tests.package else [*also, file.imports]
        parts = ["\n".join(filter(None, imports)), code]
        return gap.join(part for part in parts if part) + "\n"
    newline = "\r\n" if "\r\n" in file.text else "\n"
    text = file.text.replace("\r\n", "\n")
    wanted = [line for line in [*also, *file.imports.split("\n")] if line and line not in text]
    if wanted and tests.first_import:
        first = re.search(tests.first_import, text, re.M)
        at = first.start() if first else 0
        text = text[:at] + "\n".join(wanted) + ("\n" if first else gap) + text[at:]
    text = f"{text.rstrip()}{gap}{code}\n" if text.strip() else f"{code}\n"
    return text.replace("\n", newline)


def _problem(text: str, before: str, target: Target) -> str:
    """What does not parse in the tests, if that is new."""
    old, new = tree_of(before, target.language), tree_of(text, target.language)
    if target.language is None or old is None or new is None or new.n_errors <= old.n_errors:
        return ""
    _, what = first_problem(text, target.language) or (0, "")
    return what
