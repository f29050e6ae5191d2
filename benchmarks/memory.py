"""Measure how well the memory that a model needs is predicted: resident memory of a process that works with it.

usage: python benchmarks/memory.py MODEL... [--contexts 2048,8192,16384]
One process for each model and context. It loads the model as the server does, evaluates a prompt and says 64 tokens.
Prints a Markdown table.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import psutil

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from lsp_server.model import memory, registry

N_PROMPT, N_SAID = 512, 64


def work(name: str, n_ctx: int) -> dict[str, int]:
    """Load a model in this process and use it; returns the predicted and the measured bytes."""
    from lsp_server.model import llama

    located = registry.locate(name)
    n_ctx = min(n_ctx, located.header.n_ctx_train or n_ctx)
    model = llama.load(located, n_ctx, memory.default_threads(), lambda _: None, lambda: True)
    text = Path(__file__).read_text(encoding="utf-8")
    ids = model.tokenize(text * 3)[:N_PROMPT]
    for _ in range(N_SAID):
        model.evaluate(0, ids)
        ids.append(int(model.logits().argmax()))
    measured = psutil.Process().memory_info().rss
    need = memory.estimate(located, n_ctx)
    return {**asdict(need), "n_ctx": n_ctx, "total": need.total, "measured": measured}


def main() -> None:
    """Measure every model at every context length."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", nargs="+")
    parser.add_argument("--contexts", default="2048,8192,16384")
    parser.add_argument("--work", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.work:
        print(json.dumps(work(arguments.models[0], arguments.work)))
        return
    print("| model | context | weights | KV cache | buffers | predicted | measured | error |")
    print("|---|--:|--:|--:|--:|--:|--:|--:|")
    worst = 0.0
    for name in arguments.models:
        for n_ctx in sorted({int(text) for text in arguments.contexts.split(",")}):
            command = [sys.executable, __file__, name, "--work", str(n_ctx)]
            run = subprocess.run(command, capture_output=True, text=True, check=True)
            found = json.loads(run.stdout.splitlines()[-1])
            error = found["total"] / found["measured"] - 1
            worst = max(worst, abs(error))
            kept, kv = found["weights"], found["kv_cache"]
            mib = (kept, kv, found["total"] - kept - kv, found["total"], found["measured"])
            cells = " | ".join(f"{n_bytes / (1 << 20):,.0f}" for n_bytes in mib)
            print(f"| {Path(name).stem} | {found['n_ctx']:,} | {cells} | {error:+.1%} |", flush=True)
    print(f"\nMiB; the worst error is {worst:.1%}.")


if __name__ == "__main__":
    main()
