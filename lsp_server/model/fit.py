"""Which models suit this machine: what each needs of its memory, how fast it may be, and what it is good for.

The memory's bandwidth is measured. What a model makes of it is learned from those that were tried here.
"""

from __future__ import annotations

import json
import platform
import statistics
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from hashlib import blake2b
from typing import Literal

import psutil

from lsp_server.model import memory
from lsp_server.model.catalogue import Family, ModelFile, ModelSpec, load_catalogue
from lsp_server.model.memory import gib
from lsp_server.model.registry import LocatedModel
from lsp_server.model.states import fingerprint
from lsp_server.paths import CacheFolder

Verdict = Literal["fits", "tight", "too large"]

CONTEXTS = (4096, 16384, 32768)
EDITOR_BYTES = 1 << 30  # for an editor that is not open yet
EDITORS = ("code", "nvim", "vim", "emacs", "hx", "kate", "sublime_text", "zed", "idea", "pycharm")
ROOMY = 0.85  # of the memory there is: more is tight
COMPLETION_SPEED = 15  # tokens a second: a line of code in less than a second
CHAT_SPEED = 6  # tokens a second: about as fast as people read

_SAMPLE_BYTES, _N_ROUNDS = 256 << 20, 3


@dataclass(frozen=True)
class Trial:
    """What a model did when it was loaded and asked to complete one line on this machine."""

    tokens_per_second: float
    resident_bytes: int
    fills_in: bool
    text: str


@dataclass(frozen=True)
class Fit:
    """One model in one quantisation, on this machine. `located` is None for one that is not here.

    `needed` is the memory at the context asked about. `speed` is in tokens a second; unless it `is_learned`, it is
    what there would be if nothing but the bandwidth counted.
    """

    name: str
    located: LocatedModel | None
    params_b: float
    size_bytes: int
    kv_bytes_per_token: int
    n_ctx_train: int
    needed: int
    verdict: Verdict
    speed: float
    is_learned: bool
    is_instruct: bool
    can_chat: bool
    fim: str
    commercial: bool = True
    trial: Trial | None = None

    @property
    def completes(self) -> bool:
        """Whether it can fill in the middle, by its family or by the trial."""
        return self.trial.fills_in if self.trial else self.fim == "trained"


def bandwidth() -> float:
    """Bytes a second that all threads of the model together read from memory; takes less than a second."""
    import numpy as np

    n = memory.default_threads()
    size = min(_SAMPLE_BYTES, memory.available_bytes() // 4)
    parts = np.array_split(np.ones(size // 8, dtype=np.uint64), n)
    best = 0.0
    with ThreadPoolExecutor(n) as pool:
        for _ in range(_N_ROUNDS):
            began = time.perf_counter()
            list(pool.map(np.bitwise_or.reduce, parts))
            best = max(best, size / (time.perf_counter() - began))
    return best


def room() -> int:
    """Bytes that a model may take with an editor open: what is free, less an editor's share when none is running."""
    names = {(process.info["name"] or "").lower().removesuffix(".exe") for process in psutil.process_iter(["name"])}
    return max(0, memory.available_bytes() - (0 if names.intersection(EDITORS) else EDITOR_BYTES))


def of_file(located: LocatedModel, n_ctx: int, there: int, speed: Speed, trial: Trial | None = None) -> Fit:
    """Judge a model that is here, by its header."""
    header, spec = located.header, located.spec
    need = memory.estimate(located, min(n_ctx, header.n_ctx_train or n_ctx))
    return Fit(
        located.name,
        located,
        header.n_parameters / 1e9,
        located.size_bytes,
        header.kv_bytes_per_token,
        header.n_ctx_train,
        need.least,
        _verdict(need.least, there),
        trial.tokens_per_second if trial else speed.of(header.read_bytes),
        trial is not None or speed.is_learned,
        located.is_instruct,
        located.is_instruct and located.family is not None and located.family.chat is not None,
        fim_of(located),
        spec.licence.commercial if spec else True,
        trial,
    )


def of_row(spec: ModelSpec, file: ModelFile, n_ctx: int, there: int, speed: Speed) -> Fit:
    """Judge a model of the catalogue that is not here, by its row."""
    size = spec.file_bytes(file)
    needed = spec.memory_bytes(file, n_ctx)
    family = load_catalogue().family(spec.family)
    return Fit(
        spec.id if file == spec.files[0] else f"{spec.id}:{file.quantisation}",
        None,
        spec.params_b,
        size,
        spec.kv_bytes_per_token,
        spec.n_ctx_train,
        needed,
        _verdict(needed, there),
        speed.of(int(size * (spec.active_b or spec.params_b) / spec.params_b)),
        speed.is_learned,
        spec.kind == "instruct",
        spec.kind == "instruct" and family.chat is not None,
        "trained" if family.fim else "absent",
        spec.licence.commercial,
    )


@dataclass(frozen=True)
class Speed:
    """How many tokens a second to expect. `share` of the bandwidth is what models that were tried here reached."""

    bandwidth: float
    share: float = 1.0
    is_learned: bool = False

    def of(self, read_bytes: int) -> float:
        """Tokens a second of a model that reads so many bytes of weights for each."""
        return self.bandwidth * self.share / max(1, read_bytes)

    def learned(self, trials: Sequence[tuple[LocatedModel, Trial]]) -> Speed:
        """Take the share of the bandwidth that the models in `trials` reached, in the middle."""
        shares = [trial.tokens_per_second * located.header.read_bytes / self.bandwidth for located, trial in trials]
        return replace(self, share=statistics.median(shares), is_learned=True) if shares else self


def fim_of(located: LocatedModel) -> str:
    """Say "trained", "present" (the tokens are in its vocabulary, which proves little) or "absent"."""
    if located.fim:
        return "trained"
    return "present" if fim_family(located) else "absent"


def fim_family(located: LocatedModel) -> Family | None:
    """The family whose FIM format a model may know: its own, or the first one whose tokens it has."""
    if located.fim:
        return located.family
    there = located.header.token_ids
    families = load_catalogue().families
    return next((family for family in families if family.fim and all(t in there for t in family.fim.tokens)), None)


def recommend(fits: Sequence[Fit], for_chat: bool) -> tuple[Fit, str] | None:
    """The model to take for completion or for chat, and why in one sentence; None when none will do."""
    enough = CHAT_SPEED if for_chat else COMPLETION_SPEED
    able = [
        fit
        for fit in fits
        if (fit.can_chat if for_chat else fit.completes)
        and fit.verdict == "fits"
        and (fit.commercial or fit.located is not None)
    ]
    fast = [fit for fit in able if fit.speed >= enough]
    if not able:
        return None
    what = "answers questions" if for_chat else "fills in the middle"
    if not fast:
        best = max(able, key=lambda fit: fit.speed)
        return best, f"none that {what} is as fast as one would like; with {_speed(best)} this one comes nearest"
    best = max(fast, key=lambda fit: (round(fit.params_b, 1), fit.located is not None, fit.size_bytes))
    why = f"the largest that {what}, fits with {gib(best.needed)} beside an editor, and says {_speed(best)}"
    return best, why + ("; it is here" if best.located else "")


def _speed(fit: Fit) -> str:
    return f"about {fit.speed:.0f} tokens a second"


def _verdict(needed: int, there: int) -> Verdict:
    return "fits" if needed <= ROOMY * there else "tight" if needed <= there else "too large"


class Trials:
    """Results of trials on this machine, kept in the cache folder."""

    def __init__(self) -> None:
        self._folder = CacheFolder("fit", 1 << 20)

    def get(self, located: LocatedModel) -> Trial | None:
        """What was found when this file was tried here, if it was."""
        try:
            return Trial(**json.loads(self._folder.at(self._name(located)).read_bytes()))
        except (OSError, ValueError, TypeError):
            return None

    def put(self, located: LocatedModel, trial: Trial) -> None:
        """Keep what was found."""
        self._folder.write(self._name(located), json.dumps(asdict(trial)).encode())

    def _name(self, located: LocatedModel) -> str:
        machine = f"{platform.node()} {memory.default_threads()}".encode()
        return blake2b(fingerprint(located.path) + machine, digest_size=16).hexdigest()


def parse_trial(values: Mapping[str, object]) -> Trial:
    """Read a trial from what the process that made it has printed. Raises TypeError."""
    return Trial(**values)  # type: ignore[arg-type]
