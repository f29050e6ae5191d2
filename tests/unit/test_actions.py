"""Action files, targets, changes, and where comments and tests go; no model, or the fake one."""

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lsp_server.actions import library
from lsp_server.actions.ability import why_not
from lsp_server.actions.action import read_action
from lsp_server.actions.changes import apply, changes
from lsp_server.actions.contract import contract_of
from lsp_server.actions.document import document
from lsp_server.actions.edit import edit
from lsp_server.actions.explain import MAX_TOKENS, explain
from lsp_server.actions.languages import habits
from lsp_server.actions.reply import code_in, fence_for
from lsp_server.actions.target import target_around, target_of
from lsp_server.actions.testing import MAX_TESTS, write_tests
from lsp_server.actions.testing import test_file as place_tests
from lsp_server.actions.words import instruction_in, values
from lsp_server.capabilities import ACTION_COMMANDS
from lsp_server.errors import KrukError
from lsp_server.model.fake import FakeModel, saying
from lsp_server.model.states import States
from lsp_server.syntax.languages import language_for
from lsp_server.syntax.tree import parse
from lsp_server.text import Document
from tests.conftest import cut, run

ACTION = read_action("x", "---\ntitle: X\nedits: body\nneeds: diagnostics\n---\n{code}\n")


def target(drawn, language="python", path="/w/src/calc.py"):
    text, at = cut(drawn)
    return target_of(Document(Path(path).as_uri(), language, 1, text), language_for(language), at, at)


# -- action files -----------------------------------------------------------------------------------------


def test_a_whole_header():
    text = (
        '---\n# mine\ntitle: "A: b"\nkind: refactor.inline\nlanguages: python, [go]\nedits: code\n---\n\nDo {code}.\n'
    )
    action = read_action("mine", text.replace("[go]", "go").replace("\n", "\r\n"))
    assert (action.name, action.title, action.kind) == ("mine", "A: b", "refactor.inline")
    assert action.languages == ("python", "go")
    assert action.filled({"code": "{name} {code}"}) == "Do {name} {code}."


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("title: X\n", "line 1: the first line must be `---`"),
        ("---\ntitle: X\n", "line 2: the header has no end"),
        ("---\ntitle: X\nnonsense\n---\nx", "line 3: this is no `key: value`"),
        ("---\ntitel: X\n---\nx", "line 2: there is no key `titel`. Did you mean `title`?"),
        ("---\ntitle: X\ntitle: Y\n---\nx", "line 3: `title` is there twice"),
        ("---\nedits: code\n---\nx", "it has no title"),
        ("---\ntitle: X\nedits: everything\n---\nx", "line 3: `edits` cannot be `everything`"),
        ("---\ntitle: X\nkind: a b\n---\nx", "line 3: `a b` is no kind"),
        ("---\ntitle: X\n---\n\n", "it asks the model nothing"),
    ],
)
def test_what_is_wrong_with_a_file_is_said_by_name_and_line(text, wanted):
    with pytest.raises(KrukError) as error:
        read_action("bad", text)
    assert str(error.value).startswith("The action `bad.md`") and wanted in str(error.value)


def test_every_built_in_action_has_a_command_of_its_own():
    assert [action.name for action in library.actions([])] == list(library.BUILT_IN)
    assert (*(f"kruk.{name}" for name in library.BUILT_IN), "kruk.action") == ACTION_COMMANDS


def test_a_user_may_replace_an_action_and_a_workspace_may_not(home, tmp_path, caplog):
    ours, theirs = home / "actions", tmp_path / "w" / ".kruk" / "actions"
    for folder, names in ((ours, ("fix", "own")), (theirs, ("explain", "own", "theirs"))):
        folder.mkdir(parents=True)
        for name in names:
            (folder / f"{name}.md").write_text(f"---\ntitle: {folder.parts[-3]} {name}\n---\nx")
    (theirs / "bad.md").write_text("no header")
    for _ in range(2):
        titles = {action.name: action.title for action in library.actions([tmp_path / "w"])}
    assert titles["explain"] == "Explain"
    assert titles["fix"].endswith("fix") and titles["fix"] != "Fix"
    assert titles["own"] != "w own" and titles["theirs"] == "w theirs"
    assert sum("bad.md" in record.message for record in caplog.records) == 1


# -- targets and changes ----------------------------------------------------------------------------------


def test_the_definition_at_the_cursor():
    it = target(
        "import os\n\n\nclass A:\n    @x\n    def f(self):\n        if 1:\n            ├return 2\n\n    y = 1\n"
    )
    assert (it.code, it.indent, it.name) == ("def f(self):\n    if 1:\n        return 2", "    ", "f")
    assert it.is_definition


def test_a_function_that_is_a_constant():
    for drawn in ("// f\nconst ├f = (a) => {\n  return a;\n};\n", "// f\nconst f = (a) => {\n  ├return a;\n};\n"):
        it = target(drawn, "javascript")
        assert (it.code, it.name, it.is_definition) == ("const f = (a) => {\n  return a;\n};", "f", True)


def test_a_selection_is_whole_lines():
    text = "a = 1\n  b = 2\n\n\nc = 3\n"
    it = target_of(Document("file:///x.py", "python", 1, text), language_for("python"), 3, text.index("c"))
    assert (it.code, it.is_definition) == ("a = 1\n  b = 2", False)


def test_nothing_is_no_target():
    with pytest.raises(KrukError, match="no code"):
        target("  \n├\n")


def test_a_problem_outside_of_definitions_brings_some_lines_along():
    text = "".join(f"x{n} = {n}\n" for n in range(40))
    at = text.index("x20")
    it = target_around(Document("file:///x.py", "python", 1, text), language_for("python"), at, at + 3)
    assert it.code.split("\n") == [f"x{n} = {n}" for n in range(15, 26)]


LINES = st.lists(st.sampled_from(["a", "  b", "c ", "", "ü𝄞", "d"]), min_size=1, max_size=8)


@given(LINES, LINES, LINES, LINES, st.sampled_from(["\n", "\r\n"]), st.booleans())
def test_changes_make_the_new_code_and_touch_nothing_else(before, old, behind, new, newline, ends):
    old = ["first", *old, "last"]
    new = [line.rstrip() for line in ["first", *new, "last"]]
    head, middle = newline.join([*before, ""]), newline.join(old)
    tail = newline + newline.join(behind) if ends else ""
    whole = Document("file:///x.txt", "none", 1, head + middle + tail)
    it = target_of(whole, None, len(head), len(head) + len(middle))
    made = changes(it, "\n".join(new))
    text = apply(whole.text, made)
    assert text.startswith(head) and text.endswith(tail)
    inside = text[len(head) : len(text) - len(tail)]
    assert [line.rstrip() for line in inside.split(newline)] == new
    assert all(len(head) <= change.start <= change.end <= len(head) + len(middle) for change in made)


def test_lines_that_stay_are_left_alone():
    it = target("def f():├\n    a = 1   \n    b = 2\n    return a")
    (change,) = changes(it, "def f():\n    a = 1\n    b = 3\n    return a")
    assert change.text == "    b = 3"


def test_code_cannot_close_its_fence():
    code = "x = '''\n````\n'''"
    assert fence_for(code) == "`````"
    assert code_in(f"Look:\n`````python\n{code}\n`````\nDone") == code
    assert code_in("```\n    a\n      b\n") == "a\n  b"
    shown = values(ACTION, target(code + "├"), [], "", "", None)["code"]
    assert shown.startswith("`````python\n")


def test_the_instruction_is_the_comment_at_the_start():
    assert instruction_in(target("├# make it\n# fast\nx = 1\n")) == "make it fast"
    assert instruction_in(target("├/* make it\n * fast */\nlet x = 1;\n", "javascript")) == "make it fast"
    assert instruction_in(target("x = 1  # no├\n")) == ""


# -- what the model is made to write ----------------------------------------------------------------------


def test_a_fix_keeps_to_the_definition():
    it = target("import os\n\n\ndef f(a):\n    return a - ├1\n\n\nx = 1\n")
    says = "```python\nfrom typing import Any\n\ndef f(a):\n    return a + 1\n\nprint(f(1))\n```"
    outcome = run(edit(ACTION, it, "Fix it", States(None))(FakeModel(saying(says))))
    assert apply(it.document.text, list(outcome.changes)) == it.document.text.replace("a - 1", "a + 1")


def test_an_answer_that_changes_nothing_is_followed_by_one_written_anew():
    it = target('def f(a):\n    """Add one."""\n    return a - ├1\n')

    def answer(prompt):
        body = "a - 1" if "Fix it" in prompt else "a + 1"
        return saying(f'```python\ndef f(a):\n    """Add one."""\n    return {body}\n```')(prompt)

    outcome = run(edit(ACTION, it, "Fix it", States(None))(FakeModel(answer)))
    assert apply(it.document.text, list(outcome.changes)) == it.document.text.replace("a - 1", "a + 1")
    assert "anew" in outcome.note


def test_nothing_to_change_is_said():
    it = target("def f(a):\n    return ├a\n")
    outcome = run(
        edit(ACTION, it, "Fix it", States(None))(FakeModel(saying("```python\ndef f(a):\n    return a\n```")))
    )
    assert outcome.changes == () and "nothing" in outcome.refusal


def test_an_answer_without_an_end_is_refused():
    it = target("def f(a):\n    return ├a\n")
    outcome = run(edit(ACTION, it, "Fix it", States(None))(FakeModel(saying("```python\n" + "x = 1\n" * 500))))
    assert outcome.changes == () and "end" in outcome.refusal


def test_edits_are_drafted_from_the_code():
    code = "def f():\n" + "".join(f"    value_{n} = compute({n})\n" for n in range(40))
    it = target(code + "    return├ 1\n")
    model = FakeModel(saying(f"```python\n{it.code.replace('compute(20)', 'other(20)')}\n```"))
    model.drafter.costs_ms = {1: 28.0, 2: 30.0, 4: 36.0, 8: 62.0}
    model.drafter.measured = lambda *_: None
    count = run(edit(ACTION, it, "Fix it", States(None))(model)).count
    assert count.n_single < 0.35 * count.n_tokens


@pytest.mark.parametrize(
    ("language", "drawn", "wanted"),
    [
        ("python", 'def f(a):\n    """Say.\n\n    More."""\n    # so\n    return├ a\n',
         'def f(a):\n    """Say.\n\n    More."""\n    # so\n'),
        ("python", "def f(\n    a,\n):\n    return├ a\n", ""),
        ("javascript", "/** Adds. */\nfunction f(a) {\n  return├ a;\n}\n", "/** Adds. */\nfunction f(a) {\n"),
        ("go", "package p\n\n// F adds.\nfunc F(a int) int {\n\treturn├ a\n}\n", "// F adds.\nfunc F(a int) int {\n"),
    ],
)  # fmt: skip
def test_what_a_definition_promises(language, drawn, wanted):
    assert contract_of(target(drawn, language)) == wanted


@pytest.mark.parametrize(
    ("drawn", "said", "wanted"),
    [
        ("def f(a):\n    return├ a\n", 'Give "it".', 'def f(a):\n    """Give "it"."""\n    return a\n'),
        ("def f(a):\n    return├ a\n", r"A \d.", 'def f(a):\n    """A \\\\d."""\n    return a\n'),
        ("def f(\n  a,\n):  # x\n\treturn├ a\n", "Give it.", 'def f(\n  a,\n):  # x\n\t"""Give it."""\n\treturn a\n'),
        (
            "class A:\r\n  x = ├1\r\n",
            "An A.\n\n  Two.",
            'class A:\r\n  """An A.\r\n\r\n  Two.\r\n  """\r\n  x = 1\r\n',
        ),
    ],
)
def test_docstrings(drawn, said, wanted):
    it = target(drawn)

    def answer(prompt):
        asked = prompt.rpartition('"""')
        return f'{said}"""\n' if not asked[2] else f'{said}"""\n'.removeprefix(asked[2])

    (change,) = run(document(it, "Document it", States(None))(FakeModel(answer))).changes
    assert apply(it.document.text, [change]) == wanted


@pytest.mark.parametrize(
    ("drawn", "language", "why"),
    [
        ("def f(): return├ 1\n", "python", "no body of its own"),
        ("x = ├1\n", "python", "Only a definition"),
        ('{"a": ├1}\n', "json", "no doc comments"),
        ("/** Here. */\nfunction f() {\n  return├ 1;\n}\n", "javascript", "already"),
    ],
)
def test_what_cannot_be_documented(drawn, language, why):
    with pytest.raises(KrukError, match=why):
        document(target(drawn, language), "Document it", States(None))


# -- where tests go ---------------------------------------------------------------------------------------


JUNIT, NODE = "import static org.junit", "import assert"
VITEST = 'import { expect, test } from "vitest";\n'
PLACES = [
    ("calc.py", {}, "test_calc.py", "from calc import add"),
    ("calc.py", {"tests/x.txt": ""}, "tests/test_calc.py", "from calc import add"),
    ("calc.py", {"tests/unit/test_a.py": ""}, "tests/unit/test_calc.py", "from calc import add"),
    ("src/a/calc.py", {"src/a/__init__.py": "", "tests/x": ""}, "tests/test_calc.py", "from a.calc import add"),
    ("pkg/calc.py", {"pkg/test_b.py": ""}, "pkg/test_calc.py", "from pkg.calc import add"),
    ("calc.ts", {"a.spec.ts": ""}, "calc.spec.ts", NODE),
    ("src/calc.js", {"package.json": '"vitest"'}, "src/calc.test.js", VITEST),
    ("calc.js", {"package.json": '"jest": 1', "test/b.test.js": ""}, "test/calc.test.js", 'import { add } from "../'),
    ("p/calc.go", {}, "p/calc_test.go", 'package p\n\nimport "testing"'),
    ("src/calc.rs", {}, "src/calc.rs", ""),
    ("src/main/java/p/Calc.java", {}, "src/test/java/p/CalcTest.java", f"package p;\n\n{JUNIT}"),
    ("Calc.java", {"CalcTest.java": "class CalcTest {}"}, "CalcTest_add.java", "package p;"),
    ("src/calc.c", {"tests/x": ""}, "tests/test_calc.c", '#include <assert.h>\n\n#include "../src/calc.c"'),
]


@pytest.mark.parametrize(("source", "others", "wanted", "begins"), PLACES)
def test_tests_go_where_the_project_keeps_them(tmp_path, source, others, wanted, begins):
    codes = {
        "py": ("python", "def add(a):\n    return a├\n"), "ts": ("typescript", "export function add() {\n  ├;\n}\n"),
        "js": ("javascript", "export function add() {\n  ├;\n}\n"),
        "go": ("go", "package p\n\nfunc add() {\n\t├\n}\n"),
        "rs": ("rust", "fn add() {\n    ├();\n}\n"), "c": ("c", "int add(void) {\n  return ├1;\n}\n"),
        "java": ("java", "package p;\n\nclass X {\n  int add() {\n    return├ 1;\n  }\n}\n"),
    }  # fmt: skip
    for name, text in others.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    path = tmp_path / source
    language, drawn = codes[path.suffix[1:]]
    it = target(drawn, language, str(path))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(it.document.text)
    file = place_tests(it, path, tmp_path, lambda place: place.read_text() if place.is_file() else None)
    assert file.path.relative_to(tmp_path).as_posix() == wanted
    assert file.imports.startswith(begins)


@pytest.mark.parametrize(
    ("language", "drawn", "test", "tail"),
    [
        ("python", "def add(a):\n    return a├\n", "def test_{n}():\n    assert {n}\n\n\n", ""),
        ("rust", "fn add() {\n    ├();\n}\n", "    #[test]\n    fn t{n}() {\n        f();\n    }\n\n", "}\n"),
    ],
)
def test_a_few_tests_are_enough(language, drawn, test, tail):
    it = target(drawn, language, "/w/calc.py")
    file = place_tests(it, Path("/w/calc.py"), Path("/w"), lambda _: None)
    head = f"{file.imports}\n\n\n{file.head}" if file.imports else file.head
    first = file.head.removesuffix("def test").removesuffix("    #[test]\n    fn")
    endless = "".join(test.replace("{n}", str(n)) for n in range(30))
    said = f"```{language}\n{head.removesuffix(file.head)}{first}{endless}"
    outcome = run(write_tests(it, file, "Write tests", States(None))(FakeModel(saying(said))))
    assert outcome.refusal == ""
    assert outcome.text.count(test.split("{n}")[0]) == MAX_TESTS
    assert outcome.text.endswith(tail) and not parse(outcome.text, it.language).has_errors


ENDLESS = "func TestAdd(t *testing.T) {\n\tfound := []int{\n\t\tAdd(1),\n\t\t{{"
BROKEN, WHOLE = "func Test(t {\n", "func TestAdd(t *testing.T) {\n\tAdd(1)\n}\n"


@pytest.mark.parametrize(
    ("said", "wanted"),
    [
        ((WHOLE + "\n" + BROKEN, ""), WHOLE),
        ((BROKEN, WHOLE), WHOLE),
        ((BROKEN, BROKEN), ""),
        ((ENDLESS, ""), ENDLESS[: ENDLESS.index("\t\t{")].rstrip() + "\n\t}\n}\n"),
    ],
)
def test_tests_that_do_not_parse_are_cut_left_out_or_asked_for_once_more(said, wanted):
    it = target("package shop\n\nfunc Add(a int) int {\n\treturn a├\n}\n", "go", "/w/shop.go")
    file = place_tests(it, Path("/w/shop.go"), Path("/w"), lambda _: None)

    def answer(prompt):
        return saying(f"```go\n{file.imports}\n\n{said[prompt.count('does not parse')]}```")(prompt)

    outcome = run(write_tests(it, file, "Write tests", States(None))(FakeModel(answer)))
    assert outcome.text == (f"{file.imports}\n\n{wanted}" if wanted else "")
    assert bool(outcome.refusal) != bool(wanted)


@pytest.mark.parametrize("language", ["python", "javascript", "go", "rust", "java", "c"])
def test_what_tests_begin_with_does_not_end_within_a_token(language):
    assert not habits(language_for(language)).tests.head.endswith(" ")


def test_what_tests_use_is_imported_below_the_package():
    it = target("package shop\n\nfunc Add(a int) int {\n\treturn a├\n}\n", "go", "/w/shop.go")
    file = place_tests(it, Path("/w/shop.go"), Path("/w"), lambda _: None)
    said = "func TestAdd(t *testing.T) {\n\tfmt.Println(Add(1))\n}"
    said = f"```go\n{file.imports}\n\n{said}\n```"
    text = run(write_tests(it, file, "Write tests", States(None))(FakeModel(saying(said)))).text
    assert text.startswith('package shop\n\nimport "testing"\nimport "fmt"\n\nfunc TestAdd(')


def test_an_answer_may_repeat_the_comment_above_that_it_was_shown():
    comment = "".join(f"// {n} is one of many lines\n" for n in range(20))
    it = target(f"{comment}func Add(a int) int {{\n\treturn a├\n}}\n", "go", "/w/shop.go")
    said = f"```go\n{comment}func Add(a int) int {{\n\treturn a + 1\n}}\n```"
    (change,) = run(edit(ACTION, it, "Fix it", States(None))(FakeModel(saying(said)))).changes
    assert "// " not in change.text and "return a + 1" in it.document.text[: change.start] + change.text


def test_a_test_that_is_cut_off_before_it_tests_anything_is_refused_with_the_reason():
    it = target("def add(a):\n    return a├\n", "python", "/w/calc.py")
    file = place_tests(it, Path("/w/calc.py"), Path("/w"), lambda _: None)
    said = f"```python\n{file.imports}\n\n\ndef test_it():\n    items = [" + "1, " * 2000
    outcome = run(write_tests(it, file, "Write tests", States(None))(FakeModel(saying(said))))
    assert outcome.refusal == "What the model wrote does not parse, twice: the first test has no end."


def test_what_the_source_imports_and_tests_use_is_imported_again():
    source = "import os.path\nimport numpy as np\nimport re\nfrom .own import b\n"
    source += "from a.b import (\n    c,\n    d as e,\n)\n"
    it = target(source + "\n\ndef add(a):\n    return a├\n", "python", "/w/calc.py")
    file = place_tests(it, Path("/w/calc.py"), Path("/w"), lambda _: None)
    code = "def test_add():\n    assert add(np.one, c, e, b) == os.path.sep"
    said = f"```python\n{file.imports}\n\n\n{code}\n```"
    text = run(write_tests(it, file, "Write tests", States(None))(FakeModel(saying(said)))).text
    wanted = ["import os.path", "import numpy as np", "from a.b import c", "from a.b import d as e", file.imports]
    assert text == "\n".join(wanted) + f"\n\n\n{code}\n"


def test_a_doc_comment_that_is_cut_off_loses_its_last_paragraph_only():
    it = target("fn f() {\n    g()├;\n}\n", "rust")
    lines = [
        "/// Calls g.",
        "///",
        "/// ```",
        "/// f();",
        "/// ```",
        "///",
        "/// # Examples",
        *["/// let x = 1;"] * 300,
    ]
    said = "```rust\n" + "\n".join(lines)
    (change,) = run(document(it, "Document it", States(None))(FakeModel(saying(said)))).changes
    assert change.text == "/// Calls g.\n///\n/// ```\n/// f();\n/// ```\n"


def test_an_explanation_that_repeats_itself_ends():
    work = explain("Explain it", States(None), lambda _: None)
    generation = run(work(FakeModel(saying("It adds the numbers. " * 200))))
    assert (generation.ended_by, generation.n_tokens < MAX_TOKENS) == ("rule", True)


def test_the_comment_above_is_shown_unless_all_that_is_shown_is_replaced():
    long = "".join(f"// Line {n}.\n" for n in range(20))
    it = target(f"package p\n\n{long}func F(a int) int {{\n\treturn├ a\n}}\n", "go")
    assert "// Line 0.\n" in values(ACTION, it, [], "", "", None)["code"]
    assert "// Line" not in values(replace(ACTION, edits="code"), it, [], "", "", None)["code"]


def test_old_imports_in_old_files():
    it = target("function add() {\n  ├;\n}\nmodule.exports = { add };\n", "javascript", "/w/calc.js")
    file = place_tests(it, Path("/w/calc.js"), Path("/w"), lambda _: None)
    assert 'const { add } = require("./calc.js");' in file.imports and "import " not in file.imports


# -- models -----------------------------------------------------------------------------------------------


def test_a_base_model_is_told_apart():
    info = FakeModel(saying("")).info
    assert why_not(info) == why_not(None) == ""
    said = why_not(replace(info, name="deepseek-coder-1.3b", is_instruct=False))
    assert "kruk models pull deepseek-coder-1.3b-instruct" in said
    assert "qwen2.5-coder-0.5b-instruct" in why_not(replace(info, name="my-own", is_instruct=False))
