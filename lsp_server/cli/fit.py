"""`kruk models fit`: which models suit this machine."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from lsp_server.cli import options
from lsp_server.cli.console import err, fail, out
from lsp_server.cli.trial import try_model
from lsp_server.errors import KrukError, ModelNotFound
from lsp_server.model import fit as fitting
from lsp_server.model import memory, registry
from lsp_server.model.catalogue import load_catalogue
from lsp_server.model.fit import CONTEXTS, Fit, Speed, Trials
from lsp_server.model.memory import gib
from lsp_server.model.registry import LocatedModel
from lsp_server.model.scan import scan

_COLOURS = {"fits": "green", "tight": "yellow", "too large": "red"}


def fit(
    models: Annotated[list[str] | None, typer.Argument(metavar="[MODEL]...", help="Only these; else all.")] = None,
    n_ctx: Annotated[int, typer.Option("--context", metavar="N", min=512, help="Tokens of context.")] = 8192,
    draft_model: options.DraftModel = "",
    test: Annotated[bool, typer.Option("--test", help="Load each that is here for a moment, and measure.")] = False,
    every: Annotated[bool, typer.Option("--all", help="Every quantisation of the catalogue.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="For a script.")] = False,
) -> None:
    """Hold models against this machine: memory beside an editor, speed, what they are good for; and which to take."""
    try:
        with err.status("Looking …") as status:
            here = _here(models or [])
            status.update("Measuring memory …")
            there, speed = fitting.room(), Speed(fitting.bandwidth())
            drafts = memory.estimate(registry.locate(draft_model), n_ctx).least if draft_model else 0
            there = max(0, there - drafts)
        if test:
            _try_all(here, n_ctx, there, speed)
        trials = Trials()
        tried = {located.path: trial for located in here if (trial := trials.get(located))}
        speed = speed.learned([(located, tried[located.path]) for located in here if located.path in tried])
        fits = [fitting.of_file(located, n_ctx, there, speed, tried.get(located.path)) for located in here]
        fits += _rows(models or [], fits, every or as_json, n_ctx, there, speed)
    except KrukError as error:
        fail(error)
    advice = {what: fitting.recommend(fits, what == "chat") for what in ("completion", "chat")}
    if as_json:
        rows = [_as_dict(one) for one in fits]
        chosen = {what: {"model": a[0].name, "why": a[1]} if a else None for what, a in advice.items()}
        out.print_json(json.dumps({"room_bytes": there, "bandwidth": speed.bandwidth, "models": rows, **chosen}))
        return
    beside = "an editor" + (f" and the {gib(drafts)} of `{draft_model}` for its drafts" if drafts else "")
    out.print(
        f"{gib(there)} for a model, beside {beside}; {speed.bandwidth / 1e9:.1f} GB a second are read from memory",
        soft_wrap=True,
    )
    if not out.is_terminal:
        out.width = 150
    out.print(_table(fits, n_ctx))
    how = "and by the models tried here" if speed.is_learned else "alone; `--test` tries those that are here"
    out.print(
        f"needs: at {n_ctx:,} tokens of context. ~ is estimated: memory by the catalogue's row, "
        f"speed by the memory's bandwidth {how}",
        style="dim",
        soft_wrap=True,
    )
    for what, choice in advice.items():
        text = f"[bold]{escape(choice[0].name)}[/]: {escape(choice[1])}" if choice else "no model will do"
        out.print(f"For {what}: {text}", soft_wrap=True)


def _here(names: Sequence[str]) -> list[LocatedModel]:
    """The models on this machine, each file once; of those that are named, the ones that are here."""
    found: dict[object, LocatedModel] = {}
    if names:
        for name in names:
            try:
                located = registry.locate(name)
            except ModelNotFound:
                registry.find(name)  # in the catalogue, or an error
                continue
            found.setdefault(located.path, located)
        return list(found.values())
    for model in registry.installed():
        try:
            located = registry.locate(str(model.path))
        except KrukError as error:
            err.print(f"[yellow]{escape(error.what)}[/]", soft_wrap=True)
            continue
        found.setdefault(located.path.resolve(), located)
    for one in scan(registry.model_folders()):
        if one.located:
            found.setdefault(one.located.path.resolve(), one.located)
    return list(found.values())


def _try_all(here: Sequence[LocatedModel], n_ctx: int, there: int, speed: Speed) -> None:
    for located in here:
        if fitting.of_file(located, n_ctx, there, speed).verdict == "too large":
            err.print(f"{escape(located.name)} is too large to be tried", soft_wrap=True)
            continue
        with err.status(f"Trying {escape(located.name)} …"):
            try:
                Trials().put(located, try_model(str(located.path), n_ctx))
            except KrukError as error:
                err.print(f"[yellow]{escape(str(error))}[/]", soft_wrap=True)


def _rows(names: Sequence[str], fits: Sequence[Fit], every: bool, n_ctx: int, there: int, speed: Speed) -> list[Fit]:
    """Models of the catalogue that are not here."""
    present = {
        (f.located.spec.id, f.located.file.file) for f in fits if f.located and f.located.spec and f.located.file
    }
    if names:
        wanted = [registry.find(name) for name in names if load_catalogue().model(name.partition(":")[0])]
    else:
        wanted = [
            (spec, file) for spec in load_catalogue().models for file in (spec.files if every else spec.files[:1])
        ]
    return [
        fitting.of_row(spec, file, n_ctx, there, speed)
        for spec, file in wanted
        if (spec.id, file.file) not in present
    ]


def _table(fits: Sequence[Fit], n_ctx: int) -> Table:
    table = Table(box=None, padding=(0, 1, 0, 0), header_style="bold")
    contexts = [f"KV {n >> 10}k" for n in CONTEXTS]
    for header in ("model", "weights", *contexts, "buffers", "needs", "", "tokens/s", "kind", "FIM"):
        table.add_column(
            header, justify="left" if header in ("model", "", "kind", "FIM") else "right", overflow="fold"
        )
    for one in fits:
        about = "" if one.located else "~"
        kv = [gib(one.kv_bytes_per_token * min(n, one.n_ctx_train or n)) for n in CONTEXTS]
        n = min(n_ctx, one.n_ctx_train or n_ctx)
        buffers = memory.estimate(one.located, n).buffers if one.located else None
        table.add_row(
            f"[bold]{escape(one.name)}[/]" if one.located else escape(one.name),
            about + gib(one.size_bytes),
            *kv,
            gib(buffers) if buffers else "",
            about + gib(one.needed),
            f"[{_COLOURS[one.verdict]}]{one.verdict}[/]" + ("" if one.commercial else " [red]no commercial use[/]"),
            f"{'' if one.trial else '~'}{one.speed:.0f}",
            "instruct" if one.is_instruct else "base",
            _fim(one),
        )
    return table


def _fim(one: Fit) -> str:
    """Whether it fills in the middle: by its family, by its vocabulary, and by a trial."""
    if one.trial and one.fim != "absent":
        return f"{one.fim}, {'works' if one.trial.fills_in else 'failed'} here"
    return one.fim


def _as_dict(one: Fit) -> dict[str, Any]:
    n_ctx = [min(n, one.n_ctx_train or n) for n in CONTEXTS]
    return {
        "name": one.name,
        "path": str(one.located.path) if one.located else None,
        "params_b": round(one.params_b, 3),
        "weights_bytes": one.size_bytes,
        "kv_bytes": {str(n): one.kv_bytes_per_token * n for n in n_ctx},
        "buffer_bytes": memory.estimate(one.located, n_ctx[0]).buffers if one.located else None,
        "needed_bytes": one.needed,
        "verdict": one.verdict,
        "tokens_per_second": round(one.speed, 1),
        "speed_is": "measured" if one.trial else "learned" if one.is_learned else "of the bandwidth",
        "kind": "instruct" if one.is_instruct else "base",
        "fim": one.fim,
        "fills_in": one.trial.fills_in if one.trial else None,
        "commercial": one.commercial,
    }
