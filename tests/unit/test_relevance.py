"""What the model is shown besides the file: the right definitions, within the budget, and steady."""

from __future__ import annotations

import itertools

import pytest

from lsp_server.context.index import Index
from lsp_server.context.languages import facts
from lsp_server.context.pieces import CHARS_PER_TOKEN, PATH_TOKENS, about
from lsp_server.context.projects import Project
from lsp_server.context.references import Cursor, Name, at_cursor, typings, weighted_names
from lsp_server.context.relevance import Chosen, Place, choose
from lsp_server.context.workspace import Workspace
from lsp_server.syntax.languages import language_for
from lsp_server.text import Document
from tests.conftest import cut
from tests.workspaces import SAMPLES, indexed

INVOICE = "src/shop/billing/invoice.py"


@pytest.fixture
def samples(home):
    """A function that gives the workspace of a language."""
    made = []

    def workspace(language, documents=None, masked=()):
        made.append(indexed(SAMPLES / language))
        return Workspace(made[-1], documents, masked)

    yield workspace
    for index in made:
        index.stop()


def place(path: str, text: str, window: tuple[int, int] | None = None) -> Place:
    text, offset = cut(text)
    language = language_for("", path)
    document = Document(f"file:///{path}", language.language_ids[0] if language else "plaintext", 1, text)
    return Place(path, document, offset, window or (0, len(text)))


def after(path: str, language: str, marker: str, added: str) -> Place:
    """A place in a sample, with text typed after a marker."""
    text = (SAMPLES / language / path).read_text(encoding="utf-8")
    at = text.index(marker) + len(marker)
    return place(path, f"{text[:at]}{added}├{text[at:]}")


def shown(chosen: Chosen) -> str:
    return "\n".join(f"== {piece.path}\n{piece.text}" for piece in chosen.pieces)


# -- which definitions --------------------------------------------------------------------------------------------


def test_the_members_of_a_type_used_at_the_cursor_and_what_is_imported(samples):
    where = after(INVOICE, "python", 'email}"\n', "\n    def reserve(self) -> str:\n        return self.client.")
    chosen = choose(where, samples("python"), 400)
    assert (
        shown(chosen)
        == '''== src/shop/client.py
class WarehouseClient:
    """A connection to one warehouse."""
    def __init__(self, address: str, timeout: float = 2.0) -> None:
        self.address = address
        self.timeout = timeout  # seconds
    def reserve(self, order: Order, *, days: int = 3) -> str:
        """Reserve what is ordered; gives a ticket."""
    def release(self, ticket: str) -> None:
        """Give up a reservation."""
    def _call(self, *words: str) -> str:
def connect(address: str) -> WarehouseClient:
    """Open a connection with the usual timeout."""
    return WarehouseClient(address)
== src/shop/billing/tax.py
def with_vat(net: int) -> int:
    """Add the value added tax, rounded down."""
    return net + net * VAT_PERCENT // 100
== src/shop/models.py
@dataclass
class Order:
    customer: Customer
    lines: list[tuple[str, int]] = field(default_factory=list)

    def total(self) -> int:
        return sum(price for _name, price in self.lines)'''
    )


@pytest.mark.parametrize(
    ("language", "path", "marker", "added", "expected"),
    [
        ("go", "cmd/shop/main.go", "keep.New(10)\n", "\terr := shelf.", "func (s *Store) Add(order *Order) error"),
        ("go", "cmd/shop/main.go", "keep.New(10)\n", "\tx := keep.", "MaxOrders = 100"),
        ("rust", "crates/app/src/main.rs", "empty(1);\n", "    order.", "    fn price(&self) -> u32"),
        ("java", "src/main/java/com/acme/shop/Shop.java", "= order(id);\n", "        order.", "public int total()"),
        ("c", "src/book.c", "return 0;\n}\n", "void f(book_t *b) {\n    b->", "size_t pages[2];"),
        ("cpp", "src/shape.cpp", "0.0;\n}\n", "void f(geometry::Shape &s) {\n    s.", "std::string &name() const"),
        ("web", "src/views/cart.tsx", "total());\n", "  api.", "async send(order: Order): Promise<Reply<string>>"),
        ("web", "src/views/cart.tsx", "total());\n", "  retr", "export const retry = async <T>(times: number"),
        ("python", "src/shop/client.py", "(address)\n", "\n\ndef f(c: Order):\n    c.customer.", "def total(self)"),
        ("python", "src/shop/client.py", "(address)\n", "\n\nx = connect('a')\nx.", "class WarehouseClient"),
    ],
)
def test_what_the_line_needs_is_shown(samples, language, path, marker, added, expected):
    where = after(path, language, marker, added)
    window = (where.offset - len(added) - 20, where.offset)  # what is above in this file is not seen anyway
    chosen = choose(Place(where.path, where.document, where.offset, window), samples(language), 600)
    assert expected in shown(chosen)


def test_a_unique_name_is_found_anywhere_and_a_common_word_nowhere(samples):
    text = "def f():\n    order = 1\n    amount = with_vat(1)\n    return total├"
    assert [piece.path for piece in choose(place("new.py", text), samples("python"), 400).pieces] == [
        "src/shop/billing/tax.py"
    ]


def test_a_name_that_is_imported_from_outside_is_not_looked_for(samples):
    text = "from elsewhere import with_vat, WarehouseClient\n\nwith_vat(WarehouseClient├"
    assert choose(place("new.py", text), samples("python"), 400).pieces == ()


def test_other_languages_do_not_answer(home, tmp_path):
    (tmp_path / "a.js").write_text("export function parseAll() {}\n")
    (tmp_path / "b.ts").write_text("export function parseSome() {}\n")
    index = indexed(tmp_path)
    assert choose(place("c.py", "x = parseAll(├"), Workspace(index), 400).pieces == ()
    assert "parseAll" in shown(choose(place("c.tsx", "x = parseAll(├"), Workspace(index), 400))
    index.stop()


def test_masked_files_and_the_file_itself_are_not_shown(samples):
    where = after(INVOICE, "python", 'email}"\n', "\n    def again(self):\n        return self.client.")
    chosen = choose(where, samples("python", masked=["src/shop/client.py", INVOICE]), 400)
    assert {piece.path for piece in chosen.pieces} == {"src/shop/billing/tax.py", "src/shop/models.py"}


def test_unsaved_documents_are_what_is_shown(samples):
    changed = Document("file:///t", "python", 2, "def with_vat(net: float, percent: float) -> float: ...\n")
    where = after(INVOICE, "python", 'email}"\n', "\n    x = tax.with_vat(")
    chosen = choose(where, samples("python", {"src/shop/billing/tax.py": changed}), 400)
    assert "percent: float" in shown(chosen) and "VAT_PERCENT" not in shown(chosen)


LONG = (
    "class Shelf:\n    def add(self, book, at=0):\n        pass\n\n" + "    # filler\n" * 50 + "    def use(self):\n"
)


def test_what_stands_outside_the_window_in_the_same_file_is_shown():
    text = f"def helper_here(a, b):\n    return a\n\n\n{LONG}        helper_here(self.├"
    offset = text.index("├")
    chosen = choose(place("a.py", text, (offset - 100, offset)), Workspace(None), 200)
    assert "def helper_here(a, b):" in shown(chosen) and "def add(self, book, at=0):" in shown(chosen)
    assert "def use" not in shown(chosen)
    assert choose(place("a.py", text), Workspace(None), 200).pieces == ()


def test_what_was_edited_lately_is_shown_when_it_speaks_of_the_same():
    edits = [("b.py", "shelf_total = count_books(shelf)"), ("c.py", "unrelated = 1"), ("a.py", "seen anyway")]
    chosen = choose(place("a.py", "# seen anyway\nx = count_books(shelf├"), Workspace(None), 200, edits=edits)
    assert [(piece.path, piece.text, piece.why) for piece in chosen.pieces] == [
        ("b.py", "shelf_total = count_books(shelf)", "edited lately")
    ]


@pytest.mark.parametrize("text", ["├", "x.├", "\0├", "def├ (", "a.b.c.d.├", "self.├", "\ud800.├", "├" + "(" * 2000])
@pytest.mark.parametrize("path", ["", "a.py", "a.unknown", "a.c"])
def test_odd_texts(text, path):
    assert choose(place(path, text), Workspace(None), 100).pieces == ()


# -- budget -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("budget", [0, 20, 60, 120, 250, 500])
def test_the_budget_holds(samples, budget):
    where = after(INVOICE, "python", 'email}"\n', "\n    def reserve(self) -> str:\n        return self.client.")
    counted = []

    def count(text):
        counted.append(text)
        return len(text) // 2

    chosen = choose(where, samples("python"), budget, count=count)
    assert sum(len(piece.text) // 2 for piece in chosen.pieces) <= budget
    assert bool(chosen.pieces) == (budget >= 60) and counted


def test_a_signature_does_where_the_whole_is_too_long(home, tmp_path):
    body = "".join(f"    step_{i} = call_number_{i}(net)\n" for i in range(60))
    (tmp_path / "a.py").write_text(f'def with_vat(net):\n    """Adds."""\n{body}')
    index = indexed(tmp_path)
    where = place("b.py", "from a import with_vat\nwith_vat(├")
    small, large = (choose(where, Workspace(index), budget).pieces[0].text for budget in (40, 2000))
    assert small == 'def with_vat(net):\n    """Adds."""'
    assert large.startswith(small) and large.count("\n") == 23
    index.stop()


def test_tokens_are_about():
    assert about("") == 1 and about("x" * 320) == 1 + int(320 / CHARS_PER_TOKEN)


# -- steady -------------------------------------------------------------------------------------------------------


def test_typing_does_not_change_what_is_shown(samples):
    view, chosen = samples("python"), None
    added = "\n    def reserve(self) -> str:\n        ticket = self.client.reserve(self.order, days=2)\n"
    seen = []
    for n in range(len(added)):
        chosen = choose(after(INVOICE, "python", 'email}"\n', added[:n]), view, 400, chosen)
        if not seen or seen[-1] is not chosen.pieces:
            seen.append(chosen.pieces)
    assert len(seen) <= 3
    for before, now in itertools.pairwise(seen):
        n_same = next((i for i, (a, b) in enumerate(zip(before, now, strict=False)) if a != b), len(before))
        assert n_same >= 1  # what was there first stays first


def test_a_definition_that_changed_is_shown_as_it_is_now(samples):
    where = after(INVOICE, "python", 'email}"\n', "\n    x = tax.with_vat(")
    view = samples("python")
    before = choose(where, view, 400)
    changed = Document("file:///t", "python", 2, "def with_vat(net: float) -> float: ...\n")
    now = choose(where, view.with_document("src/shop/billing/tax.py", changed), 400, before)
    assert "net: float" in shown(now) and "net: int" not in shown(now)
    assert choose(where, view, 400, before).pieces is before.pieces


def test_whether_another_choice_is_due_is_told_by_the_line():
    first = place("a.py", "x = 1\nfoo.ba├")
    chosen = Chosen((), first)
    longer = place("a.py", "x = 1\nfoo.bar├", first.window)
    assert chosen.is_for(first) and chosen.is_for(longer)
    assert not chosen.is_for(place("a.py", "x = 1\nfoo.bar.├", first.window))
    assert not chosen.is_for(place("a.py", "x = 1\nfoo.ba├", (2, 9))) and not Chosen().is_for(first)


# -- a name that is not written yet -------------------------------------------------------------------------------

DEPOT = """class Depot:
    def open(self) -> None: ...
    def ship_parcels(self, n: int) -> int: ...
    def count_boxes(self) -> int: ...
    def close(self) -> None: ...
"""


def in_depot(tmp_path, text: str, size: int = 12):
    """What is shown, also where there is little room, beside a text with a cursor; Depot has `size` methods more."""
    more = "".join(f"    def spare_{n}(self) -> None:\n        print({n})\n        print()\n" for n in range(size))
    (tmp_path / "depot.py").write_text(DEPOT + more)
    (tmp_path / "holder.py").write_text("from depot import Depot\n\n\nclass Holder:\n    depot: Depot\n")
    index = indexed(tmp_path)
    chosen = choose(place("main.py", text), Workspace(index), 200)
    index.stop()
    return chosen, "\n".join(piece.text for piece in chosen.near)


@pytest.mark.parametrize(
    "text",
    [
        "from depot import Depot\n\n\ndef send(depot: Depot):\n    n_parcels = ├\n",
        "from depot import Depot\n\n\ndef send(depot: Depot):\n    n_parcels = depot.├\n",
        "from holder import Holder\n\n\ndef send(it: Holder):\n    n_parcels = it.depot.├\n",
        "from depot import Depot\n\n\ndef send():\n    n_parcels = Depot().├\n",
        "import depot\n\n\ndef send(it: depot.Depot):\n    # ship all parcels\n    it.├\n",
        "from depot import Depot\n\n\nclass Big(Depot):\n    def send(self):\n        n_parcels = self.├\n",
    ],
    ids=["a line", "a dot", "a member's type", "a call's type", "a module's type", "a base class"],
)
def test_the_member_that_the_lines_around_the_cursor_hint_at_is_shown(home, tmp_path, text):
    chosen, near = in_depot(tmp_path, text, 60)
    assert "ship_parcels" in shown(chosen) and "ship_parcels" in near


def test_a_member_of_a_long_class_has_its_class_above_it_and_no_body(home, tmp_path):
    text = "from depot import Depot\n\n\ndef send(depot: Depot):\n    n = depot.count_├\n    n_boxes = n\n"
    _chosen, near = in_depot(tmp_path, text, 60)
    assert "class Depot:" in near and "def count_boxes(self) -> int:" in near and "print(" not in near


def test_names_of_the_folder_are_hinted_at_where_they_need_no_import(home, tmp_path):
    (tmp_path / "frame.go").write_text("package p\n\nfunc writeFrameHeader(n int) {\n}\n\nfunc other() {\n}\n")
    index = indexed(tmp_path)
    text = "package p\n\n// WriteFrame writes the header first.\nfunc WriteFrame() {\n\t├\n}\n"
    near = choose(place("write.go", text), Workspace(index), 200).near
    assert [piece.text for piece in near] == ["func writeFrameHeader(n int) {\n}"]
    index.stop()


def test_a_path_that_code_spells_out_is_followed(home, tmp_path):
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "lib.rs").write_text("mod frame;\nmod peer;\n")
    (tmp_path / "src" / "peer.rs").write_text("pub struct Peer;\n\npub fn convert_message(n: u8) -> u8 {\n    n\n}\n")
    index = indexed(tmp_path)
    near = choose(place("src/frame.rs", "fn f() {\n    let x = crate::peer::├\n}\n"), Workspace(index), 200).near
    assert "convert_message" in near[0].text and near[0].path == "src/peer.rs"
    index.stop()


def test_an_import_that_nothing_uses_yet_comes_before_those_that_are_used(home, tmp_path):
    (tmp_path / "kit.py").write_text("def used(): ...\n\n\ndef fresh(): ...\n")
    index = indexed(tmp_path)
    text = "from kit import used, fresh\n" + "x = used()\n" * 3 + "pass\n" * 200 + "├\n"
    chosen = choose(place("main.py", text), Workspace(index), PATH_TOKENS + 5)  # room for one
    assert [piece.text for piece in chosen.pieces] == ["def fresh():"]
    index.stop()


# -- the text around the cursor -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a.b.├", Cursor(("a", "b"), "")),
        ("x = self.client.res├", Cursor(("self", "client"), "res")),
        ("p->q::r?.s├", Cursor(("p", "q", "r"), "s")),
        ("f(x, wor├d", Cursor((), "wor")),
        ("y = a.b(c, d(e)).f├", Cursor(("a", "b"), "f")),
        ("y = a.b(c)├", Cursor((), "")),
        ("1 + ├", Cursor((), "")),
        ("├", Cursor((), "")),
    ],
)
def test_what_is_being_typed(text, expected):
    assert at_cursor(*cut(text)) == expected


def test_names_weigh_more_the_nearer_they_are():
    text, offset = cut(
        "far()\n"
        + "\n" * 20
        + "def here(arg: Kind):\n"
        + "    a = 1\n" * 5
        + "    near(x.y)\n    line(wo├rd\nbelow()"
    )
    weights = weighted_names(text, offset, 21, "#")
    order = [Name("", "line"), Name("", "near"), Name("", "below"), Name("", "far")]
    assert [weights[name] for name in order] == sorted((weights[name] for name in order), reverse=True)
    assert weights[Name("", "Kind")] == weights[Name("", "near")] and Name("x", "y") in weights
    assert Name("", "wo") not in weights


@pytest.mark.parametrize(
    ("language", "text", "expected"),
    [
        ("python", "x: list[Foo] = []\n├", "list[Foo]"),
        ("python", "x = Bar()\nx = await mod.make(1)\n├", "mod.make"),
        ("python", "with open_it(1) as x:\n├", "open_it"),
        ("typescript", "const x = new Foo<T>();\n├", "Foo"),
        ("typescript", "function f(x?: Foo[]) {\n├", "Foo[]"),
        ("go", "x, err := pkg.New(1)\n├", "pkg.New"),
        ("go", "x := &Store{}\n├", "Store"),
        ("go", "func f(x *pkg.Store) {\n├", "pkg.Store"),
        ("rust", "let mut x: Vec<Foo> = v;\n├", "Vec<Foo>"),
        ("rust", "let x = Foo::new();\n├", "Foo::new"),
        ("java", "List<Foo> x = null;\n├", "List<Foo>"),
        ("java", "var x = new Foo(1);\n├", "Foo"),
        ("c", "const struct book *x = 0;\n├", "book"),
        ("cpp", "auto x = new ns::Foo(1);\n├", "ns::Foo"),
    ],
)
def test_the_type_of_a_name(language, text, expected):
    text, offset = cut(text)
    assert typings("x", text, offset, facts(language_for(language)).typings)[0] == expected


def test_the_members_of_a_base_class_are_shown_in_a_class_made_from_it(samples):
    text = (
        "from shop.client import WarehouseClient\n\n\nclass Mine(WarehouseClient):\n"
        '    """A Customer of Tax."""\n\n    def again(self):\n        self.├\n'
    )
    (piece,) = choose(place("src/mine.py", text), samples("python"), 400).pieces
    assert piece.path == "src/shop/client.py" and "def release(self, ticket: str) -> None:" in piece.text


def test_an_index_that_takes_long_is_waited_for_once(home, tmp_path, monkeypatch):
    index = Index(tmp_path)
    waited = []
    monkeypatch.setattr(index, "wait", lambda seconds: waited.append(seconds) or False)
    project = Project("p", index)
    for name in ("a.py", "b.py"):
        document = Document(f"file:///{name}", "python", 1, "x = 1\n")
        project.choose(Place(name, document, 3, (0, 6)), 100, None)
    assert waited[0] > 0.0 and waited[1:] == [0.0]
    index.stop()


def test_packages_that_import_all_of_each_other_are_not_followed_round(home, tmp_path, monkeypatch):
    for folder, other in (("a", "b"), ("b", "a")):
        (tmp_path / "org" / folder).mkdir(parents=True)
        for number in range(12):
            source = f"package org.{folder};\n\nimport org.{other}.*;\n\nclass {folder.upper()}{number} {{}}\n"
            (tmp_path / "org" / folder / f"{folder.upper()}{number}.java").write_text(source)
    index = indexed(tmp_path)
    asked = []
    defining = Workspace.defining
    monkeypatch.setattr(Workspace, "defining", lambda self, *name: asked.append(name) or defining(self, *name))
    text = "package org.a;\n\nimport org.b.*;\n\nclass D {\n    B2 unknown(Missing it) { ├ }\n}\n"
    assert "class B2" in shown(choose(place("org/a/D.java", text), Workspace(index), 200))
    assert len(asked) < 100
    index.stop()
