"""Loads one model and lets it complete one line: its speed, its memory, and whether it fills in the middle.

Run as a process of its own, `python -m lsp_server.cli.trial MODEL CONTEXT`, because a model may bring down the one it
runs in. Prints one line of JSON.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from typing import Any

import psutil

from lsp_server.completion.prompt import Parts, build
from lsp_server.errors import KrukError, ModelLoadError
from lsp_server.model import fit, memory, registry
from lsp_server.model.fit import Trial

_BEFORE, _AFTER, _WANTED = "def add(a, b):\n    return", "\n\n\nprint(add(1, 2))\n", "a + b"
_N_TOKENS = 24


def try_model(reference: str, n_ctx: int, timeout_s: float = 300) -> Trial:
    """Try a model in a process of its own. Raises KrukError when that fails."""
    values = run_apart("lsp_server.cli.trial", reference, str(n_ctx), timeout_s=timeout_s)
    try:
        return fit.parse_trial(values)
    except TypeError as error:
        raise ModelLoadError(f"`{reference}` could not be tried: {error}") from error


def run_apart(module: str, model: str, *arguments: str, timeout_s: float) -> dict[str, Any]:
    """Run a module that tries a model and prints its result as JSON. Raises KrukError."""
    command = [sys.executable, "-m", module, model, *arguments]
    try:
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
        run = subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            stdin=subprocess.DEVNULL,
            env=environment,
            check=False,
        )
        values: dict[str, Any] = json.loads(run.stdout.splitlines()[-1])
    except subprocess.TimeoutExpired as error:
        raise ModelLoadError(f"`{model}` could not be tried within {timeout_s:.0f} s", "Try a smaller one") from error
    except (ValueError, IndexError) as error:
        raise ModelLoadError(f"`{model}` could not be tried: its process ended early", "Try another") from error
    if "error" in values:
        raise ModelLoadError(values["error"], values["hint"])
    return values


def print_result(work: Callable[[], Mapping[str, object]]) -> None:
    """Print what `run_apart` reads: the result, or the error."""
    try:
        print(json.dumps(work()))  # noqa: T201
    except KrukError as error:
        print(json.dumps({"error": error.what, "hint": error.hint}))  # noqa: T201


def _work(reference: str, n_ctx: int) -> Trial:
    located = registry.locate(reference)
    n_ctx = min(n_ctx, located.header.n_ctx_train or n_ctx)
    memory.check(located, n_ctx)
    from lsp_server.model import llama  # not at the top: importing it loads llama.cpp

    located = replace(located, family=fit.fim_family(located) or located.family)
    model = llama.load(located, n_ctx, memory.default_threads(), lambda _: None, lambda: True)
    prompt = build(model, Parts("", _BEFORE, _AFTER), _N_TOKENS + 8)
    ids = [*prompt.token_ids, *prompt.given_back]
    n_prompt = len(ids)
    model.evaluate(0, ids)
    began = time.perf_counter()
    for _ in range(_N_TOKENS):
        ids.append(int(model.logits().argmax()))
        model.evaluate(0, ids)
    speed = _N_TOKENS / (time.perf_counter() - began)
    said = ids[n_prompt:]
    n = next((i for i, token_id in enumerate(said) if model.is_end(token_id)), len(said))
    text = b"".join(model.vocabulary.pieces[i] for i in said[:n]).decode("utf-8", "replace")
    fills_in = model.info.fim is not None and text.strip().split("\n")[0].strip() == _WANTED
    return Trial(speed, psutil.Process().memory_info().rss, fills_in, text)


if __name__ == "__main__":
    print_result(lambda: asdict(_work(sys.argv[1], int(sys.argv[2]))))
