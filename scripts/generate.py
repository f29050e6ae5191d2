"""Write the files that repeat what the code already says, or with `--check` name those that are stale.

One function per kind of file, from the file's present text to the wanted one; `GENERATED` says which file
is made by which.
"""

from __future__ import annotations

import importlib
import json
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from lsp_server.actions.action import Action, read_action  # noqa: E402
from lsp_server.actions.library import BUILT_IN, BUILT_IN_FOLDER  # noqa: E402
from lsp_server.settings import OPTIONS, SECTION, Option  # noqa: E402

TABLE_BEGIN = "<!-- settings:begin -->"
TABLE_END = "<!-- settings:end -->"

# Settings of the machine rather than of a folder. A workspace may override them only when it is trusted.
MACHINE = {"model", "chatModel", "draftModel", "adapters", "threads", "contextSize"}
# Settings that no workspace may have: it could send the user's text to whom it likes, or open a port.
ONLY_MACHINE = ("remote.", "endpoint.")

# What the VS Code extension reads itself and never sends to the server.
EXTENSION_ONLY: dict[str, dict[str, Any]] = {
    "server.command": {
        "type": "array",
        "items": {"type": "string"},
        "default": [],
        "markdownDescription": "Program and arguments that start the server, such as "
        '`["/home/me/venv/bin/kruk", "serve"]`. Empty: `kruk serve`, with `kruk` looked up in the active Python '
        "environment, on PATH, and in the environment that **Kruk: Install Server** makes.",
        "scope": "machine",
    },
    "server.package": {
        "type": "string",
        "default": "kruk",
        "markdownDescription": "What **Kruk: Install Server** has pip install into an environment of its own: a "
        "name, a version such as `kruk==0.1.0`, a folder or a wheel.",
        "scope": "machine",
    },
    "trace.server": {
        "type": "string",
        "enum": ["messages", "compact", "verbose"],
        "default": "messages",
        "markdownDescription": "How much of each message is written to the Kruk output when its log level is Trace.",
        "scope": "window",
    },
}


MENU = "kruk.editor"  # the extension's submenu at the selection
RUN = "kruk.run."  # begins the extension's commands that run an action at the selection


def vscode_manifest(text: str | None) -> str | None:
    """Return the VS Code extension's `package.json` with the settings and the actions replaced."""
    if text is None:
        return None
    manifest = json.loads(text)
    actions = [read_action(name, (BUILT_IN_FOLDER / f"{name}.md").read_text(encoding="utf-8")) for name in BUILT_IN]
    others = [row for row in manifest["contributes"]["commands"] if not row["command"].startswith(RUN)]
    manifest["contributes"]["commands"] = [*map(_command, actions), *others]
    manifest["contributes"]["menus"][MENU] = [_menu_item(action, order) for order, action in enumerate(actions)] + [
        row for row in manifest["contributes"]["menus"][MENU] if not row["command"].startswith(RUN)
    ]
    kinds = [{"kind": action.kind, "title": f"Kruk: {action.title}"} for action in actions]
    manifest["contributes"]["codeActions"] = [{"languages": ["*"], "actions": kinds}]
    properties = {option.name: _property(option) for option in OPTIONS} | EXTENSION_ONLY
    manifest["contributes"]["configuration"]["properties"] = {
        f"{SECTION}.{name}": {"order": order, **entry} for order, (name, entry) in enumerate(properties.items())
    }
    return _json(manifest)


def settings_table(text: str | None) -> str | None:
    """Return a Markdown page with the table between its two markers replaced; a page without them stays."""
    if text is None or TABLE_BEGIN not in text:
        return text
    before, rest = text.split(TABLE_BEGIN, 1)
    if TABLE_END not in rest:
        raise SystemExit(f"{TABLE_BEGIN} without {TABLE_END}")
    after = rest.split(TABLE_END, 1)[1]
    rows = ["| setting | default | meaning |", "|---|---|---|", *map(_row, OPTIONS)]
    return "\n".join([f"{before}{TABLE_BEGIN}", *rows, f"{TABLE_END}{after}"])


def models_schema(text: str | None) -> str | None:
    """Return the JSON schema of `models.json`."""
    try:
        catalogue = importlib.import_module("lsp_server.model.catalogue")
    except ModuleNotFoundError as error:
        if error.name not in ("lsp_server.model", "lsp_server.model.catalogue"):
            raise
        return text
    return _json(catalogue.schema())


def neovim_types(text: str | None) -> str:
    """Return the settings as classes for lua-language-server, one for each level of their names."""
    levels: dict[str, list[str]] = {"": []}
    for option in OPTIONS:
        above, _, name = option.name.rpartition(".")
        if above not in levels:
            levels[above] = []
            levels[""].append(f"---@field {above}? kruk.Settings.{above}")
        kind = _lua_type(option)
        levels[above].append(f"---@field {name}? {kind} {option.doc}")
    classes = [
        "\n".join([f"---@class kruk.Settings{'.' if above else ''}{above}", *fields, ""])
        for above, fields in levels.items()
    ]
    return "\n".join(["---@meta", "-- Written by scripts/generate.py from lsp_server/settings.py.", "", *classes])


def neovim_help(text: str | None) -> str:
    """Return the settings as a page of Neovim's help."""
    lines = ["*kruk-settings.txt*        The settings of the server", "", _right("*kruk-settings*")]
    lines += ["In |g:kruk| below `settings`, as nested tables. See |kruk-configuration|.", ""]
    for option in OPTIONS:
        lines += [_right(f"*kruk-setting-{option.name}*"), f"`{option.name}`"]
        words = [option.doc]
        if option.choices:
            words.append(f"One of {', '.join(f'`{choice}`' for choice in option.choices)}.")
        if option.minimum is not None:
            words.append(f"{option.minimum} to {option.maximum}.")
        if not isinstance(option.default, tuple):
            words.append(f"Default: `{json.dumps(option.default)}`.")
        lines += [*textwrap.wrap(" ".join(words), 78, initial_indent=" " * 4, subsequent_indent=" " * 4), ""]
    return "\n".join([*lines, " vim:tw=78:et:ft=help:norl:", ""])


GENERATED: dict[str, Callable[[str | None], str | None]] = {
    "editors/vscode/package.json": vscode_manifest,
    "editors/vscode/README.md": settings_table,
    "README.md": settings_table,
    "models.schema.json": models_schema,
    "editors/neovim/lua/kruk/settings.lua": neovim_types,
    "editors/neovim/doc/kruk-settings.txt": neovim_help,
}


def _lua_type(option: Option) -> str:
    if option.choices:
        return "|".join(f"'{choice}'" for choice in option.choices)
    return {str: "string", bool: "boolean", int: "integer", tuple: "string[]"}[type(option.default)]


def _right(tag: str) -> str:
    return tag.rjust(78)


def _command(action: Action) -> dict[str, str]:
    title = "Edit..." if action.needs == "instruction" else action.title.title()
    return {"command": f"{RUN}{action.name}", "title": title, "category": "Kruk", "enablement": "kruk.isRunning"}


def _menu_item(action: Action, order: int) -> dict[str, str]:
    return {"command": f"{RUN}{action.name}", "group": f"1_actions@{order}"}


def _property(option: Option) -> dict[str, Any]:
    """Return one setting as VS Code's settings schema wants it."""
    kinds = {str: "string", bool: "boolean", int: "integer", tuple: "array"}
    entry: dict[str, Any] = {"type": kinds[type(option.default)]}
    if isinstance(option.default, tuple):
        entry["items"] = {"type": "string"}
    if option.choices:
        entry["enum"] = list(option.choices)
    if option.minimum is not None:
        entry["minimum"] = option.minimum
    if option.maximum is not None:
        entry["maximum"] = option.maximum
    entry["default"] = list(option.default) if isinstance(option.default, tuple) else option.default
    entry["markdownDescription"] = option.doc
    entry["scope"] = "machine-overridable" if option.name in MACHINE else "resource"
    if option.name.startswith(ONLY_MACHINE):
        entry["scope"] = "machine"
    return entry


def _row(option: Option) -> str:
    default = json.dumps(option.default, ensure_ascii=False)
    if isinstance(option.default, tuple) and len(option.default) > 3:
        default = f"{json.dumps(option.default[:3], ensure_ascii=False)[:-1]}, …]"
    doc = option.doc.replace("|", "\\|")
    if option.choices:
        doc += f" One of {', '.join(f'`{choice}`' for choice in option.choices)}."
    if option.minimum is not None:
        doc += f" {option.minimum} to {option.maximum}."
    return f"| `{SECTION}.{option.name}` | `{default}` | {doc} |"


def _json(value: object) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"


def main(arguments: list[str]) -> int:
    """Write what is stale, or only name it when the one argument is `--check`."""
    if arguments not in ([], ["--check"]):
        print(f"usage: {Path(sys.argv[0]).name} [--check]", file=sys.stderr)
        return 2
    stale = 0
    for name, wanted_from in GENERATED.items():
        path = ROOT / name
        present = path.read_text(encoding="utf-8") if path.exists() else None
        wanted = wanted_from(present)
        if wanted is None or wanted == present:
            continue
        stale += 1
        if arguments:
            print(f"{name} is stale: run python scripts/generate.py", file=sys.stderr)
        else:
            path.write_text(wanted, encoding="utf-8", newline="\n")
            print(f"wrote {name}")
    return 1 if arguments and stale else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
