"""Where imports lead, in the sample workspaces and in small ones."""

from __future__ import annotations

import pytest

from lsp_server.context.imports import _json, _use_tree, targets
from lsp_server.context.languages import facts
from lsp_server.context.scope import Scopes
from lsp_server.context.workspace import Workspace, nearest
from lsp_server.syntax.languages import language_for
from lsp_server.text import Document
from tests.workspaces import SAMPLES, indexed


def resolved(workspace: Workspace, path: str) -> dict[str, list[str]]:
    """By name in the file `path`: where its imports lead, as `file:name there`."""
    imported = Scopes(workspace).of(path).imported
    return {name: [f"{file}:{there}" for file, there in places] for name, places in imported.items()}


SHOP = "src/main/java/com/acme/"


@pytest.mark.parametrize(
    ("language", "path", "expected"),
    [
        (
            "python",
            "src/shop/billing/invoice.py",
            {
                "Order": ["src/shop/__init__.py:Order"],
                "WarehouseClient": ["src/shop/client.py:WarehouseClient"],
                "open_warehouse": ["src/shop/client.py:connect"],
                "tax": ["src/shop/billing/tax.py:"],
            },
        ),
        ("python", "src/shop/client.py", {"Order": ["src/shop/models.py:Order"]}),
        (
            "web",
            "src/views/cart.tsx",
            {
                "Api": ["src/api.ts:default"],
                "retry": ["src/api.ts:retry"],
                "Speed": ["src/api.ts:Mode"],
                "models": ["src/models/index.ts:"],
                "Purchase": ["src/models/index.ts:Purchase"],
                "format": ["src/views/format.js:format"],
            },
        ),
        ("web", "src/api.ts", {"Order": ["src/models/order.ts:Order"]}),
        ("web", "src/views/format.js", {"pad": ["src/views/pad.js:pad"]}),
        ("go", "cmd/shop/main.go", {"keep": ["internal/store/order.go:", "internal/store/store.go:"]}),
        (
            "rust",
            "crates/core/src/order.rs",
            {
                "Client": ["crates/core/src/net/client.rs:Client"],
                "Address": ["crates/core/src/net/mod.rs:Address"],
                "MAX_ORDERS": ["crates/core/src/lib.rs:MAX_ORDERS"],
            },
        ),
        (
            "rust",
            "crates/core/src/lib.rs",
            {
                "net": ["crates/core/src/net/mod.rs:"],
                "order": ["crates/core/src/order.rs:"],
                "Order": ["crates/core/src/order.rs:Order"],
                "Urgency": ["crates/core/src/order.rs:Priority"],
            },
        ),
        (
            "rust",
            "crates/app/src/main.rs",
            {
                "net": ["crates/core/src/net/mod.rs:"],
                "Order": ["crates/core/src/lib.rs:Order"],
                "Urgency": ["crates/core/src/lib.rs:Urgency"],
            },
        ),
        ("rust", "crates/core/src/net/client.rs", {"Address": ["crates/core/src/net/mod.rs:Address"]}),
        (
            "java",
            f"{SHOP}shop/Shop.java",
            {
                "*": [f"{SHOP}billing/Invoice.java:*", f"{SHOP}billing/Tax.java:*"],
                "Tax": [f"{SHOP}billing/Tax.java:Tax"],
                "withVat": [f"{SHOP}billing/Tax.java:withVat"],
            },
        ),
        ("c", "src/book.c", {"*": ["include/shelf/book.h:*", "src/list.h:*"]}),
        ("cpp", "src/shape.cpp", {"*": ["include/shape.h:*"]}),
    ],
)
def test_imports_of_the_samples(language, path, expected, home):
    index = indexed(SAMPLES / language)
    assert resolved(Workspace(index), path) == expected
    index.stop()


@pytest.mark.parametrize(
    ("language", "path", "name", "expected"),
    [
        ("python", "src/shop/billing/invoice.py", "Order", "src/shop/models.py:25"),  # through a package
        ("web", "src/views/cart.tsx", "Purchase", "src/models/order.ts:1"),  # renamed on the way
        ("web", "src/views/cart.tsx", "Api", "src/api.ts:10"),  # a default export
        ("rust", "crates/app/src/main.rs", "Urgency", "crates/core/src/order.rs:11"),
        ("java", f"{SHOP}shop/Shop.java", "Order", f"{SHOP}shop/Order.java:5"),  # of the same package
        ("java", f"{SHOP}shop/Shop.java", "Invoice", f"{SHOP}billing/Invoice.java:3"),  # by a star
        ("java", f"{SHOP}shop/Shop.java", "withVat", f"{SHOP}billing/Tax.java:6"),  # a static member
        ("go", "internal/store/store.go", "Order", "internal/store/order.go:3"),
        ("c", "src/book.c", "list_push", "src/list.h:3"),
    ],
)
def test_a_name_leads_to_its_definition(language, path, name, expected, home):
    index = indexed(SAMPLES / language)
    found = Scopes(Workspace(index)).of(path).find(name)
    assert [f"{meaning.path}:{meaning.definition.start + 1}" for meaning in found] == [expected]
    index.stop()


def of_documents(files: dict[str, str]) -> Workspace:
    """A workspace of open documents only."""
    languages = {path: language_for("", path) for path in files}
    ids = {path: row.language_ids[0] if row else "json" for path, row in languages.items()}
    return Workspace(None, {path: Document(path, ids[path], 1, text) for path, text in files.items()})


@pytest.mark.parametrize(
    ("module", "expected"),
    [
        ("from . import b", ["p/b.py"]),
        ("from .b import x", ["p/b.py"]),
        ("from .. import a", ["a.py"]),
        ("from ... import a", []),  # above the workspace
        ("import p.b", ["p/b.py"]),
        ("import os, sys", []),
        ("from p import *", ["p/__init__.py"]),
        ("import b", ["p/b.py"]),  # a script sees what is beside it
        ("import nowhere.b", []),
    ],
)
def test_python_imports(module, expected):
    view = of_documents({"a.py": "", "p/__init__.py": "", "p/b.py": "", "p/c.py": module})
    row = facts(language_for("python"))
    found = [to.path for one in view.outline("p/c.py").imports for to in targets(one, "p/c.py", row, view)]
    assert found == expected


def test_imports_in_a_circle_end():
    view = of_documents({"a.py": "from b import x", "b.py": "from a import x"})
    assert Scopes(view).of("a.py").find("x") == []


def test_a_configuration_may_extend_another():
    view = of_documents(
        {
            "tsconfig.json": '{"compilerOptions": {"paths": {"~/*": ["src/*"]}}}',
            "app/tsconfig.json": '{"extends": "../tsconfig"}',
            "src/x.ts": "export const X = 1;",
            "app/y.ts": 'import { X } from "~/x";',
        }
    )
    assert resolved(view, "app/y.ts") == {"X": ["src/x.ts:X"]}


def test_a_configuration_with_comments_is_read_and_a_broken_one_ignored():
    assert _json(['{"a": "//no", /* c */ "b": [1, 2,], // d', "}"]) == {"a": "//no", "b": [1, 2]}
    assert _json(["{"]) == _json(["[1]"]) == {}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a", ["a=a"]),
        ("a::b as c", ["a.b=c"]),
        ("a::{self, b::{c, d as e}, f::*}", ["a=a", "a.b.c=c", "a.b.d=e", "a.f.*=*"]),
        ("{a::b, c}", ["a.b=b", "c=c"]),
        ("super::super::a", ["super.super.a=a"]),
    ],
)
def test_use_trees(text, expected):
    assert [f"{'.'.join(parts)}={here}" for parts, here in _use_tree(text)] == expected


def test_the_nearest_file_comes_first():
    assert nearest(["x/y/z.h", "a/b.h", "a/c/d.h"], "a/c/e.c") == ["a/c/d.h", "a/b.h", "x/y/z.h"]
