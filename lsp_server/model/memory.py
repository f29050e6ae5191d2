"""How much memory a model will need, and whether this machine has it. Decided before llama.cpp is asked."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path

import psutil

from lsp_server.errors import ModelTooLarge
from lsp_server.model.catalogue import load_catalogue
from lsp_server.model.gguf import GgufHeader
from lsp_server.model.registry import LocatedModel

KV_BYTES_PER_VALUE = 2  # f16
N_OUTPUTS, N_UBATCH = 16, 64  # as model/llama.py asks for them
ROWS_BYTES = 24 << 20  # logits that model/rows.py keeps
BASE_BYTES = 90 << 20  # Python, NumPy, llama.cpp itself, and the table of token bytes
RESERVE_BYTES = 256 << 20  # left to everybody else


@dataclass(frozen=True)
class Need:
    """Bytes that a model needs at one context length."""

    weights: int
    kv_cache: int
    compute: int

    @property
    def total(self) -> int:
        """All of it."""
        return self.weights + self.kv_cache + self.compute + BASE_BYTES


def estimate(header: GgufHeader, n_ctx: int) -> Need:
    """Estimate from the file's header: the weights' bytes, the KV cache at f16, and llama.cpp's buffers.

    The compute buffer is that of `N_UBATCH` tokens (activations, attention scores) and `N_OUTPUTS` logits, and
    logits that are kept.
    """
    heads = header.head_counts_kv
    kv = n_ctx * sum(heads) * (header.key_length + header.value_length) * KV_BYTES_PER_VALUE
    activations = N_UBATCH * header.n_embd * 4 * 12
    scores = N_UBATCH * n_ctx * 4
    return Need(header.size_bytes, kv, N_OUTPUTS * header.n_vocab * 4 + activations + scores + ROWS_BYTES)


def available_bytes() -> int:
    """Memory that a new process can have: what is free or reclaimable, within the limits of a cgroup or ulimit."""
    limits = [psutil.virtual_memory().available]
    for limit, usage in (
        ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current"),
        ("/sys/fs/cgroup/memory/memory.limit_in_bytes", "/sys/fs/cgroup/memory/memory.usage_in_bytes"),
    ):
        if (most := _number(limit)) is not None:
            limits.append(most - (_number(usage) or 0) + _cgroup_file_bytes())
    if sys.platform != "win32":
        import resource

        soft, _ = resource.getrlimit(resource.RLIMIT_AS)
        if soft != resource.RLIM_INFINITY:
            limits.append(soft - psutil.Process().memory_info().vms)
    return max(0, min(limits))


def check(located: LocatedModel, n_ctx: int) -> Need:
    """Estimate, and refuse what cannot fit. Raises ModelTooLarge with the figures and a proposal."""
    need = estimate(located.header, n_ctx)
    there = available_bytes()
    if need.total + RESERVE_BYTES <= there:
        return need
    raise ModelTooLarge(
        f"`{located.name}` needs {gib(need.total)} (weights {gib(need.weights)}, KV cache for {n_ctx} tokens "
        f"{gib(need.kv_cache)}, buffers {gib(need.compute + BASE_BYTES)}) and {gib(there)} are free",
        _proposal(need, located, n_ctx, there),
    )


def gib(n_bytes: int) -> str:
    """Bytes for people: `1.5 GiB`, or `340 MiB` when it is less than one."""
    return f"{n_bytes / (1 << 30):.1f} GiB" if n_bytes >= 1 << 30 else f"{n_bytes / (1 << 20):.0f} MiB"


def _proposal(need: Need, located: LocatedModel, n_ctx: int, there: int) -> str:
    """Propose a smaller context when that is enough, else the largest model of the catalogue that fits."""
    small = 2048
    if n_ctx > small and estimate(located.header, small).total + RESERVE_BYTES <= there:
        return f"Set `kruk.contextSize` to {small}, or close other programs."
    fitting = [
        (spec.params_b, spec.id)
        for spec in load_catalogue().models
        if spec.memory_bytes(spec.files[0], 4096) + RESERVE_BYTES <= there and spec.licence.commercial
    ]
    if not fitting:
        return "Close other programs; no model that Kruk knows fits into what is left."
    best = max(fitting)[1]
    return f"Try `{best}` (`kruk models pull {best}`, then `kruk models use {best}`), or close other programs."


def _number(path: str) -> int | None:
    try:
        text = Path(path).read_text().strip()
    except OSError:
        return None
    return int(text) if text.isdigit() and int(text) < 1 << 60 else None  # "max", or v1's huge number: no limit


def _cgroup_file_bytes() -> int:
    """Bytes of page cache counted against the cgroup, which the kernel gives back when they are needed."""
    try:
        lines = Path("/sys/fs/cgroup/memory.stat").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("inactive_file ")), 0)


def default_threads() -> int:
    """Threads when the user sets none: the physical cores that this process may use, one left free past four."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    physical = psutil.cpu_count(logical=False) or usable
    n = max(1, min(usable, physical))
    return n if n <= 4 else n - 1
