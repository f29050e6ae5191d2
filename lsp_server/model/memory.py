"""How much memory a model will need, and whether this machine has it. Decided before llama.cpp is asked."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path

import psutil

from lsp_server.errors import ModelTooLarge
from lsp_server.model.catalogue import load_catalogue
from lsp_server.model.registry import LocatedModel

KV_BYTES_PER_VALUE = 2  # f16
N_OUTPUTS, N_UBATCH = 16, 64  # as model/llama.py asks for them
ROWS_BYTES = 24 << 20  # logits that model/rows.py keeps
BASE_BYTES = 50 << 20  # Python, NumPy and llama.cpp itself
RESERVE_BYTES = 256 << 20  # left to everybody else
CGROUPS, PROC_CGROUP = Path("/sys/fs/cgroup"), Path("/proc/self/cgroup")

# What a token costs: llama.cpp's entry, its place in a hash table and its bytes (40 + 80 + 32), and our bytes object
# with its place in a list (48 + 8). A merge rule: two strings and a number, in a hash table as well.
TOKEN_BYTES, MERGE_BYTES = 208, 128

# Types of which llama.cpp's build for a processor makes a second copy, in the order in which it multiplies fastest
# (ggml-cpu/repack.cpp, `ggml_repack_get_optimal_repack_type`; AVX2, and NEON with dot products).
REPACKED = {
    "x86": frozenset({"Q4_0", "Q4_K", "IQ4_NL", "MXFP4"}),
    "arm": frozenset({"Q4_0", "Q4_K", "Q5_K", "Q6_K", "Q8_0", "IQ4_NL", "MXFP4"}),
}


@dataclass(frozen=True)
class Need:
    """Bytes that a model needs at one context length.

    weights: the file, which is mapped. repacked: copies of a part of it, after which that part is not read again.
    """

    weights: int
    repacked: int
    kv_cache: int
    compute: int
    vocabulary: int

    def __add__(self, other: Need) -> Need:
        """What both need in one process."""
        return Need(*(getattr(self, it.name) + getattr(other, it.name) for it in fields(Need)))

    @property
    def total(self) -> int:
        """What is resident while it works, when nobody else wants the memory."""
        return self.weights + self.repacked + self.kv_cache + self.buffers

    @property
    def least(self) -> int:
        """What must be there: all but the part of the file of which there is a copy."""
        return self.total - self.repacked

    @property
    def buffers(self) -> int:
        """Everything but weights and KV cache."""
        return self.compute + self.vocabulary + BASE_BYTES


def estimate(located: LocatedModel, n_ctx: int) -> Need:
    """Estimate from the file's header, with a KV cache at f16, what a process that works with the model has resident.

    The compute buffer holds either a layer of `N_UBATCH` tokens with its attention mask, or the logits of
    `N_OUTPUTS` tokens; these are then copied out, and kept.
    """
    header = located.header
    kv = n_ctx * sum(header.head_counts_kv) * (header.key_length + header.value_length) * KV_BYTES_PER_VALUE
    logits = N_OUTPUTS * header.n_vocab * 4
    layer = N_UBATCH * (2 * header.n_feed_forward + 4 * header.n_embd) * 4 + N_UBATCH * n_ctx * 6
    compute = max(logits + N_UBATCH * header.n_embd * 4, layer) + logits + ROWS_BYTES
    vocabulary = header.n_vocab * TOKEN_BYTES + header.n_merges * MERGE_BYTES
    kind = "arm" if platform.machine().lower() in ("arm64", "aarch64") else "x86"
    repacked = sum(n for name, n in header.matrix_bytes.items() if name in REPACKED[kind])
    return Need(located.size_bytes, repacked, kv, compute, vocabulary)


def available_bytes() -> int:
    """Memory that a new process can have: what is free or reclaimable, within the limits of a cgroup or ulimit."""
    limits = [psutil.virtual_memory().available, *_cgroup_limits()]
    if (left := address_space_left()) is not None:
        limits.append(left)
    return max(0, min(limits))


def address_space_left() -> int | None:
    """Bytes that may still be mapped under a ulimit; None without one."""
    if sys.platform != "win32":
        import resource

        soft, _ = resource.getrlimit(resource.RLIMIT_AS)
        if soft != resource.RLIM_INFINITY:
            return max(0, soft - psutil.Process().memory_info().vms)
    return None


def check(located: LocatedModel, n_ctx: int) -> Need:
    """Estimate, and refuse what cannot fit. Raises ModelTooLarge with the figures and a proposal."""
    need = estimate(located, n_ctx)
    if not _is_there(need):
        raise _too_large(f"`{located.name}`", need, n_ctx, _proposal(located, n_ctx, available_bytes()))
    return need


def check_both(large: LocatedModel, small: LocatedModel, n_ctx: int) -> None:
    """Refuse a model with one that drafts for it where both cannot fit. Raises ModelTooLarge with the figures."""
    need = estimate(large, n_ctx) + estimate(small, n_ctx)
    if not _is_there(need):
        raise _too_large(f"`{large.name}` with `{small.name}`", need, n_ctx, "Close other programs, or do without it")


def gib(n_bytes: int) -> str:
    """Bytes for people: `1.5 GiB`, or `340 MiB` when it is less than one."""
    return f"{n_bytes / (1 << 30):.1f} GiB" if n_bytes >= 1 << 30 else f"{n_bytes / (1 << 20):.0f} MiB"


def _is_there(need: Need) -> bool:
    left = address_space_left()
    there = need.least + RESERVE_BYTES <= available_bytes()
    return there and (left is None or need.total + RESERVE_BYTES <= left)


def _too_large(what: str, need: Need, n_ctx: int, hint: str) -> ModelTooLarge:
    wanted = need.least if address_space_left() is None else need.total
    return ModelTooLarge(
        f"{what} needs {gib(wanted)} (weights {gib(wanted - need.kv_cache - need.buffers)}, KV cache for "
        f"{n_ctx} tokens {gib(need.kv_cache)}, buffers {gib(need.buffers)}) and {gib(available_bytes())} are free",
        hint,
    )


def _proposal(located: LocatedModel, n_ctx: int, there: int) -> str:
    """Propose a smaller context when that is enough, else the largest model of the catalogue that fits."""
    small = 2048
    if n_ctx > small and estimate(located, small).total + RESERVE_BYTES <= there:
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


def _cgroup_limits() -> Iterator[int]:
    """What each cgroup that this process is in leaves to it: its own, and those around it."""
    for folder in _cgroups():
        v2 = folder / "memory.max"
        names = (
            ("memory.max", "memory.current") if v2.exists() else ("memory.limit_in_bytes", "memory.usage_in_bytes")
        )
        if (most := _number(folder / names[0])) is not None:
            yield most - (_number(folder / names[1]) or 0) + _cgroup_file_bytes(folder)


def _cgroups() -> Iterator[Path]:
    """Folders of the memory controller, by /proc/self/cgroup: "0::/a/b" (v2), "4:memory:/a/b" (v1)."""
    try:
        lines = PROC_CGROUP.read_text().splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers and "memory" not in controllers.split(","):
            continue
        mount = CGROUPS / "memory" if controllers else CGROUPS
        inner = mount / path.lstrip("/")
        yield from (folder for folder in (inner, *inner.parents) if folder == mount or mount in folder.parents)


def _number(path: Path) -> int | None:
    try:
        text = path.read_text().strip()
    except OSError:
        return None
    return int(text) if text.isdigit() and int(text) < 1 << 60 else None  # "max", or v1's huge number: no limit


def _cgroup_file_bytes(folder: Path) -> int:
    """Bytes of page cache counted against the cgroup, which the kernel gives back when they are needed."""
    try:
        lines = (folder / "memory.stat").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("inactive_file ")), 0)


def default_threads() -> int:
    """Threads when the user sets none: the physical cores that this process may use, one left free past four."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    physical = psutil.cpu_count(logical=False) or usable
    n = max(1, min(usable, physical))
    return n if n <= 4 else n - 1
