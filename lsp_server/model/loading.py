"""From settings to a loaded model: find it, check that it fits, load it; or find the server that runs it."""

from __future__ import annotations

from collections.abc import Callable

from lsp_server.model import memory, registry
from lsp_server.model.adapters import adapter_of
from lsp_server.model.adapters import check as check_adapter
from lsp_server.model.base import Model, Tell
from lsp_server.model.catalogue import DEFAULT_MODEL
from lsp_server.model.worker import Loader
from lsp_server.settings import Settings


def loader_for(settings: Settings) -> Loader:
    """Make the work of loading the model that the settings ask for, for the worker's thread."""

    def load(tell: Tell, keep_on: Callable[[], bool]) -> Model:
        if settings.remote.url:
            from lsp_server.model import remote  # not at the top: importing it loads an HTTP client

            return remote.connect(settings.remote, settings.context_size)
        located = registry.locate(settings.model or registry.default_choice() or DEFAULT_MODEL)
        n_ctx = min(settings.context_size, located.header.n_ctx_train or settings.context_size)
        memory.check(located, n_ctx)
        chosen = tuple(map(adapter_of, settings.adapters))
        for adapter in chosen:
            check_adapter(adapter, located.header)
        from lsp_server.model import llama  # not at the top: importing it loads llama.cpp

        return llama.load(located, n_ctx, settings.threads, tell, keep_on, (*located.adapters, *chosen))

    return load
