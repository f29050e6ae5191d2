"""Measures whether drafts by a small model pay: the same text is said with and without them, in turn.

Run as a process of its own, `python -m lsp_server.cli.draft_trial MODEL SETTINGS`, because it loads both models.
Prints one line of JSON.
"""

from __future__ import annotations

import contextlib
import json
import math
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any, get_args

from lsp_server import settings as settings_module
from lsp_server.actions.ability import why_not
from lsp_server.chat.template import Message, tokens
from lsp_server.cli.trial import print_result, run_apart
from lsp_server.completion.prompt import Parts, build
from lsp_server.errors import ModelNotFound
from lsp_server.model import loading
from lsp_server.model.base import CHAT, COMPLETION, Evaluator
from lsp_server.model.draft import TRY_WIDTH
from lsp_server.model.draft_model import WORDS, Records, Speeds, Use, parse_record, verdict
from lsp_server.model.generate import Generation, Prompt, generate

N_TOKENS = 64  # that are said each time
N_ROUNDS = 2  # the faster one counts: a neighbour may disturb the other
MOST_S = 1800.0

_BEFORE = '''"""Orders, and what they cost."""

from dataclasses import dataclass, field


@dataclass
class Item:
    name: str
    price: float
    quantity: int = 1


@dataclass
class Order:
    """Some items, and a discount in percent."""

    items: list[Item] = field(default_factory=list)
    discount: float = 0.0

    def total(self) -> float:
        """Price of all items, less the discount."""
        '''
_AFTER = """

print(receipt(Order([Item("apple", 0.5, 4), Item("bread", 3.2)], discount=10)))
"""
_QUESTION = f"Explain line by line what this code does:\n\n```python\n{_BEFORE}...\n```"


def measure(values: dict[str, Any]) -> str:
    """Measure in a process of its own, keep the result, and say it.

    values: settings by dotted names, `draftModel` among them. Raises KrukError.
    """
    pair = _pair(values)
    arguments = (pair.large.located.reference, json.dumps(values))
    record = parse_record(run_apart("lsp_server.cli.draft_trial", *arguments, timeout_s=MOST_S))
    Records().put(pair.key, record)
    found = "; ".join(f"{WORDS[use]}: {speeds}" for use, speeds in record.items())
    return f"{verdict(pair.large.located.name, pair.small.name, record)} ({found})"


def _pair(values: dict[str, Any]) -> loading.Pair:
    settings = settings_module.read(values).settings
    pair = loading.pair_of(loading.find(settings), settings.draft_model, get_args(Use))
    if pair is None:
        raise ModelNotFound(f"`{settings.draft_model}` is the model itself", "Name a smaller one of its family")
    return pair


def _work(values: dict[str, Any]) -> dict[str, Any]:
    pair = _pair(values)
    with contextlib.closing(pair.large.load(lambda _: None, lambda: True)) as model:
        pair.add_to(model, lambda: True, TRY_WIDTH - 1)
        return {use: asdict(_speeds(model, sequence, prompt)) for use, sequence, prompt in _prompts(model)}


def _prompts(model: Evaluator) -> Iterator[tuple[Use, int, Prompt]]:
    """What is said in each use; a base model is not asked, and one that cannot fill in goes on."""
    yield "completion", COMPLETION, build(model, Parts(_BEFORE, "", _AFTER), N_TOKENS)
    if not why_not(model.info):
        yield "chat", CHAT, Prompt(tuple(tokens(model, [Message("user", _QUESTION)])))


def _speeds(model: Evaluator, sequence: int, prompt: Prompt) -> Speeds:
    small = model.draft_model
    assert small is not None
    n_said, n_right = small.n_said, small.n_right
    best = {False: math.inf, True: math.inf}  # seconds for a token, without and with drafts
    for is_drafted in [False, True] * N_ROUNDS:
        # What was said before must be said anew: another token in the place of the prompt's last one drops it.
        for it in (model, small.model):
            it.evaluate(sequence, [*prompt.token_ids[:-1], prompt.token_ids[0]])
        model.draft_model = small if is_drafted else None
        best[is_drafted] = min(best[is_drafted], _seconds(model, sequence, prompt))
    return Speeds(1 / best[False], 1 / best[True], small.n_said - n_said, small.n_right - n_right)


def _seconds(model: Evaluator, sequence: int, prompt: Prompt) -> float:
    """Seconds for each token that is said after the first, once the prompt is evaluated by all who say it."""
    began = 0.0

    def told(generation: Generation) -> None:
        nonlocal began
        began = began or time.perf_counter()

    steps = generate(model, sequence, prompt, N_TOKENS, lambda _: False, must_begin=True, told=told)
    while True:
        try:
            next(steps)
        except StopIteration as end:
            out: Generation = end.value
            return (time.perf_counter() - began) / max(1, out.n_tokens - 1)


if __name__ == "__main__":
    print_result(lambda: _work(json.loads(sys.argv[2]) | {"model": sys.argv[1]}))
