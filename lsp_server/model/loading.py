"""From settings to a loaded model: find it, check that it fits, load it; or find the server that runs it.

The model that drafts for it is loaded beside it where `kruk doctor` has measured that this pays.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from lsp_server.errors import KrukError, ModelNotFound
from lsp_server.model import memory, registry
from lsp_server.model.adapters import Adapter, adapter_of
from lsp_server.model.adapters import check as check_adapter
from lsp_server.model.base import Model, Tell
from lsp_server.model.catalogue import DEFAULT_MODEL
from lsp_server.model.draft_model import DraftModel, Records, Use, key_of, verdict
from lsp_server.model.registry import LocatedModel
from lsp_server.model.worker import Loader
from lsp_server.settings import Settings

if TYPE_CHECKING:
    from lsp_server.model.llama import Llama


def loader_for(settings: Settings) -> Loader:
    """Make the work of loading the model that the settings ask for, for the worker's thread."""

    def load(tell: Tell, keep_on: Callable[[], bool]) -> Model:
        if settings.remote.url:
            from lsp_server.model import remote  # not at the top: importing it loads an HTTP client

            return remote.connect(settings.remote, settings.context_size)
        wanted = find(settings)
        if not settings.draft_model:
            return wanted.load(tell, keep_on)
        pair, note = _pair(wanted, settings)  # before the large one takes its memory
        model = wanted.load(tell, keep_on)
        if pair:
            try:
                pair.add_to(model, keep_on)
            except Exception as error:  # whatever it is: the large one is there, and works
                note = _without(settings, error)
        model.info = replace(model.info, drafts=note)
        return model

    return load


@dataclass(frozen=True)
class Wanted:
    """A model that fits, and how it is to be loaded."""

    located: LocatedModel
    n_ctx: int
    n_threads: int
    adapters: tuple[Adapter, ...]

    def load(self, tell: Tell, keep_on: Callable[[], bool]) -> Llama:
        """Load it. Raises ModelLoadError."""
        from lsp_server.model import llama  # not at the top: importing it loads llama.cpp

        return llama.load(self.located, self.n_ctx, self.n_threads, tell, keep_on, self.adapters)


@dataclass(frozen=True)
class Pair:
    """A model, the one that is to draft for it, and where its record is kept."""

    large: Wanted
    small: LocatedModel
    uses: Collection[Use]
    key: str

    def add_to(self, model: Llama, keep_on: Callable[[], bool], n_always: int = 0) -> None:
        """Load the small one, and let it draft. Raises KrukError, and leaves the large one as it was."""
        n_ctx = min(self.large.n_ctx, self.small.header.n_ctx_train or self.large.n_ctx)
        small = Wanted(self.small, n_ctx, self.large.n_threads, self.small.adapters).load(lambda _: None, keep_on)
        try:
            model.draft_model = DraftModel(small, model, self.uses, n_always)
        except BaseException:
            small.close()
            raise


def find(settings: Settings) -> Wanted:
    """Find the model that the settings ask for. Raises KrukError when it is not here, is broken, or does not fit."""
    located = registry.locate(settings.model or registry.default_choice() or DEFAULT_MODEL)
    n_ctx = min(settings.context_size, located.header.n_ctx_train or settings.context_size)
    memory.check(located, n_ctx)
    chosen = tuple(map(adapter_of, settings.adapters))
    for adapter in chosen:
        check_adapter(adapter, located.header)
    return Wanted(located, n_ctx, settings.threads, (*located.adapters, *chosen))


def pair_of(large: Wanted, name: str, uses: Collection[Use] = ()) -> Pair | None:
    """Find the model that is to draft for another; None where that is the same one.

    Raises KrukError when it is not here, is broken, or when both do not fit.
    """
    small = registry.locate(name)
    try:
        if small.path.samefile(large.located.path):
            return None
        memory.check_both(large.located, small, large.n_ctx)
        return Pair(large, small, uses, key_of(large.located, large.adapters, small, large.n_threads))
    except OSError as error:
        raise ModelNotFound(f"A file of `{small.name}` or `{large.located.name}` is gone: {error}") from error


def _pair(large: Wanted, settings: Settings) -> tuple[Pair | None, str]:
    """The pair, where it has been measured that it pays; and what there is to say."""
    try:
        pair = pair_of(large, settings.draft_model)
    except KrukError as error:
        return None, _without(settings, error)
    if pair is None:  # it is named for the other model, the one for chat perhaps
        return None, ""
    if (record := Records().get(pair.key)) is None:
        what = f"whether drafts by `{pair.small.name}` for `{large.located.name}` pay is not measured yet"
        return None, f"{what}: run `{_command(large, settings)}`"
    uses = [use for use, speeds in record.items() if speeds.pays]
    return (replace(pair, uses=uses) if uses else None), verdict(large.located.name, pair.small.name, record)


def _without(settings: Settings, error: Exception) -> str:
    return f"no drafts by `{settings.draft_model}`: {error}"


def _command(large: Wanted, settings: Settings) -> str:
    """Write the command that measures with these settings."""
    others = {"threads": settings.threads, "adapters": list(settings.adapters)}
    given = json.dumps({name: value for name, value in others.items() if value})
    names = [f'"{name}"' if " " in name else name for name in (large.located.reference, settings.draft_model)]
    command = f"kruk doctor --model {names[0]} --draft-model {names[1]}"
    return command + (f" --settings '{given}'" if given != "{}" else "")
