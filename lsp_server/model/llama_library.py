"""llama.cpp itself: how its library is loaded and made quiet, how weights are loaded.

Import this module before anything else could load the library: OpenMP reads its settings once.
"""

from __future__ import annotations

import ctypes
import os
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

# OpenMP reads these when it is loaded. A thread that sleeps at each barrier makes two threads as slow as one; one
# that spins for long costs a busy neighbour its core, and us ours. So it spins for some 50 microseconds (libgomp),
# and where that cannot be said it sleeps. And a failed assertion must not start a debugger.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
os.environ.setdefault("GOMP_SPINCOUNT", "2000")
os.environ.setdefault("GGML_NO_BACKTRACE", "1")

import llama_cpp as lib

from lsp_server.errors import ModelLoadError
from lsp_server.model.adapters import Adapter
from lsp_server.model.base import Tell

__all__ = ["build_info", "last_words", "lib", "load_weights", "use_adapters"]

_log: deque[str] = deque(maxlen=20)


@lib.llama_log_callback  # type: ignore[untyped-decorator]
def _on_log(level: int, text: bytes, _data: object) -> None:
    if level >= 3:  # ggml: 2 info, 3 warn, 4 error, 5 continues the line before
        _log.append(text.decode("utf-8", "replace").rstrip())


lib.llama_log_set(_on_log, ctypes.c_void_p(0))


def build_info() -> str:
    """Which instruction sets this build of llama.cpp uses, in its own words."""
    return str(lib.llama_print_system_info().decode("utf-8", "replace")).strip()


def load_weights(path: str, tell: Tell, keep_on: Callable[[], bool]) -> Any:
    """Load a model's weights; `tell` hears the percent, and `keep_on` may stop it. Raises ModelLoadError."""
    _log.clear()
    told = -1

    @lib.llama_progress_callback  # type: ignore[untyped-decorator]
    def on_progress(part: float, _data: object) -> bool:
        nonlocal told
        percent = int(part * 100)
        if percent > told:
            told = percent
            tell(percent)
        return keep_on()

    params = lib.llama_model_default_params()
    params.progress_callback = on_progress
    model = lib.llama_model_load_from_file(path.encode(), params)
    if not model:
        raise ModelLoadError(
            f"llama.cpp could not load `{path}`: {last_words()}",
            "The file may be damaged, or of a kind that this version of llama.cpp does not know.",
        )
    return model


def use_adapters(model: Any, context: Any, adapters: Sequence[Adapter]) -> None:
    """Add LoRA adapters to what a context computes; they are freed with the model. Raises ModelLoadError."""
    if not adapters:
        return
    loaded = []
    for adapter in adapters:
        _log.clear()
        loaded.append(lib.llama_adapter_lora_init(model, str(adapter.path).encode()))
        if not loaded[-1]:
            raise ModelLoadError(
                f"llama.cpp could not use the adapter `{adapter.path.name}`: {last_words()}",
                "It may be damaged, or for another model of this architecture. Correct `kruk.adapters`",
            )
    pointers = (lib.llama_adapter_lora_p_ctypes * len(loaded))(*loaded)
    scales = (ctypes.c_float * len(loaded))(*(adapter.scale for adapter in adapters))
    if lib.llama_set_adapters_lora(context, pointers, len(loaded), scales):
        raise ModelLoadError(f"llama.cpp could not use the adapters: {last_words()}", "Correct `kruk.adapters`")


def last_words() -> str:
    """What llama.cpp said last about a failure."""
    errors = [line for line in _log if "error" in line.lower() or "fail" in line.lower()]
    return (errors or list(_log) or ["it gave no reason"])[0].strip()
