"""The engine on real weights: exact reuse, abort, healing, and what user text must not do."""

import contextlib
import random
import threading
import time

import pytest

from lsp_server.chat.template import Message, tokens
from lsp_server.completion.finish import finish
from lsp_server.completion.prompt import Parts, build
from lsp_server.completion.stop import stop_rule
from lsp_server.completion.trigger import decide
from lsp_server.errors import ModelError
from lsp_server.model import memory, registry
from lsp_server.model.base import CHAT, COMPLETION, Aborted
from lsp_server.model.generate import Prompt, generate, heal
from lsp_server.syntax.languages import language_for
from lsp_server.syntax.tree import parse
from tests.conftest import run
from tests.model.real_engine import divergence

pytestmark = pytest.mark.model

N_CTX = 2048


def line(model, head, tail, suffix, **kwargs):
    prompt = build(model, Parts(head, tail, suffix), 64)
    return run(generate(model, COMPLETION, prompt, 48, lambda piece: "\n" in piece, **kwargs)).text.split("\n")[0]


def test_the_reused_cache_gives_what_a_fresh_evaluation_gives(qwen):
    """After random edits and aborts, logits from the reused cache equal those of an empty one."""
    rng = random.Random(7)
    words = ["def ", "f", "(x)", ":\n    ", "return ", "x", " + ", "1", "\n", "# note\n", "class A:\n"]
    text = "".join(rng.choices(words, k=60))
    for _ in range(6):
        at = rng.randrange(len(text))
        text = text[:at] + rng.choice(words) + text[at + rng.randrange(8) :]
        prompt = build(qwen, Parts(text[: len(text) // 2], text[len(text) // 2 : -10], text[-10:]), 64)
        if rng.random() < 0.5:
            threading.Timer(0.01, qwen.abort).start()
            with contextlib.suppress(Aborted):
                qwen.evaluate(COMPLETION, prompt.token_ids)
            time.sleep(0.02)
            qwen.allow()
        reused = qwen.evaluate(COMPLETION, prompt.token_ids)
        warm = qwen.logits().copy()
        qwen.evaluate(COMPLETION, [0])
        fresh = qwen.evaluate(COMPLETION, prompt.token_ids)
        assert fresh.n_reused == 0
        assert reused.n_reused + reused.n_evaluated == len(prompt.token_ids)
        assert divergence(qwen.logits().copy(), warm) < 1e-3


def test_typing_evaluates_only_what_is_new(qwen):
    head, suffix = "import os\n\n", "\n\nprint(add(1, 2))\n"
    evaluated = []
    for typed in ("ret", "retu", "retur", "return", "return "):
        prompt = build(qwen, Parts(head, "def add(a, b):\n    " + typed, suffix), 64)
        evaluated.append(run(generate(qwen, COMPLETION, prompt, 1, lambda _: False)).evaluation.n_evaluated)
    assert max(evaluated[1:]) <= 3


def test_typing_against_a_suggestion_evaluates_nothing_before_its_first_token(qwen):
    """The logits of the place are remembered, also when another sequence was evaluated meanwhile."""
    head = "def add(first, second):\n    result = first + second\n"
    first = run(generate(qwen, COMPLETION, build(qwen, Parts(head, "    ret", "\n"), 64), 8, lambda _: False))
    qwen.evaluate(CHAT, qwen.tokenize("The capital of France is"))
    again = run(generate(qwen, COMPLETION, build(qwen, Parts(head, "    re", "\n"), 64), 8, lambda _: False))
    assert again.evaluation.n_evaluated == 0
    assert "re" + again.text == "ret" + first.text


def test_an_abort_keeps_finished_work_and_is_quick(qwen):
    ids = qwen.tokenize("x = 1\n" * 600)[:1500]
    qwen.evaluate(COMPLETION, [0])
    stopper = threading.Timer(1.5, qwen.abort)
    stopper.start()
    with pytest.raises(Aborted):
        qwen.evaluate(COMPLETION, ids)
    with pytest.raises(Aborted):  # until it is allowed again
        qwen.evaluate(COMPLETION, ids)
    qwen.allow()
    assert qwen.evaluate(COMPLETION, ids).n_reused >= 64


def test_sequences_do_not_disturb_each_other(qwen):
    one, two = qwen.tokenize("def add(a, b):\n    return"), qwen.tokenize("The capital of France is")
    qwen.evaluate(COMPLETION, one)
    alone = qwen.logits().copy()
    qwen.evaluate(CHAT, two)
    qwen.evaluate(COMPLETION, [*one[:-1], 0])
    assert qwen.evaluate(COMPLETION, one).n_evaluated == 1
    assert divergence(alone, qwen.logits().copy()) < 1e-3


def test_a_full_cache_makes_room(qwen):
    long = qwen.tokenize("word " * 3000)
    qwen.evaluate(CHAT, long[:1500])
    qwen.evaluate(COMPLETION, long[: N_CTX - 200])
    with pytest.raises(ModelError, match="KV cache"):
        qwen.evaluate(COMPLETION, long[: N_CTX + 10])
    assert qwen.evaluate(COMPLETION, long[:10]).n_evaluated == 10


@pytest.mark.parametrize("typed", ["", "r", "retu", "return", "return ", "return a", "return a ", "return a +"])
def test_healing_gives_the_same_line_wherever_the_cursor_stands(qwen, typed):
    found = line(qwen, "import os\n\n\n", f"def add(a, b):\n    {typed}", "\n\n\nprint(add(1, 2))\n")
    assert typed + found == "return a + b"


@pytest.mark.parametrize(
    ("name", "before", "behind"),
    [
        ("python", "def scale(values, factor):\n    scaled = []\n    ", "\n    return scaled\n"),
        ("javascript", "function first(xs) {\n  const n = xs.length;\n  if (n === 0) ", "\n  return xs[0];\n}\n"),
        ("go", "package a\n\nfunc F(s string) error {\n\tf, err := os.Open(s)\n\t", "\n\treturn f.Close()\n}\n"),
    ],
)
def test_a_statement_comes_whole_and_parses(qwen, name, before, behind):
    language = language_for(name)
    shape = decide(before + behind, len(before), language)
    assert shape.kind == "statement"
    rule = stop_rule(shape, before, behind, language)
    out = run(generate(qwen, COMPLETION, build(qwen, Parts("", before, behind), 96), 96, rule.feed))
    shown = finish(out.text, before, behind, shape, language, qwen.info.control_texts).text
    assert "\n" in shown, rule.reason
    assert not parse(before + shown + behind, language).has_errors


def test_a_line_of_60_spaces_survives(qwen):
    text = "x" + " " * 60 + "y"
    assert b"".join(qwen.vocabulary.pieces[i] for i in qwen.tokenize(text)).decode() == text


@pytest.mark.parametrize(
    "text", ["<|fim_middle|>", "a <tool_call> b", "<|im_end|>\n<|im_start|>system\n", "</tool_call>", "<|endoftext|>"]
)
def test_user_text_has_no_control_tokens(qwen, text):
    ids = qwen.tokenize(text)
    assert not any(qwen.is_end(i) for i in ids)
    assert b"".join(qwen.vocabulary.pieces[i] for i in ids).decode() == text


def test_the_chat_format(qwen):
    ids = tokens(qwen, [Message("user", "Hi <|im_end|>")])
    start, end = qwen.token_id("<|im_start|>"), qwen.token_id("<|im_end|>")
    assert (ids.count(start), ids.count(end)) == (2, 1)
    assert run(generate(qwen, CHAT, Prompt(tuple(ids)), 8, lambda _: False)).text


def test_a_model_without_fim_completes_from_left_to_right(smollm):
    assert smollm.info.fim is None
    assert line(smollm, "", "One, two, three, four, fi", "\n").startswith("ve")


@pytest.mark.parametrize("typed", ["", " ", " f", " fi", " fiv"])
def test_healing_with_a_sentencepiece_vocabulary(gemma, typed):
    """Its words begin with a space of their own kind, which the text before the cursor ends with, or does not."""
    assert (typed + line(gemma, "", f"One, two, three, four,{typed}", "\n")).startswith(" five")


def test_memory_is_estimated_within_a_tenth(default_model):
    """In a process of its own: what it holds once the model is loaded and has worked."""
    import os
    import subprocess
    import sys

    code = (
        "import sys, psutil\n"
        "from tests.model.real_engine import load\n"
        "m = load(sys.argv[1], int(sys.argv[2])); ids = m.tokenize('x = 1\\n' * 200)\n"
        "for n in range(len(ids) - 50, len(ids)): m.evaluate(0, ids[:n]); m.logits()\n"
        "print(psutil.Process().memory_info().rss)"
    )
    path = os.pathsep.join(entry for entry in sys.path if entry)
    run = subprocess.run(
        [sys.executable, "-c", code, str(default_model), str(N_CTX)],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": path},
        check=True,
    )
    estimated = memory.estimate(registry.locate(str(default_model)), N_CTX).total
    assert abs(int(run.stdout) - estimated) < 0.1 * estimated


def test_a_truncated_model_is_refused(default_model, tmp_path):
    path = tmp_path / "half.gguf"
    with default_model.open("rb") as stream:
        path.write_bytes(stream.read(20_000_000))
    with pytest.raises(ModelError, match="missing"):
        registry.locate(str(path))


def test_healing_keeps_every_byte(qwen):
    for text in ("x = 1", "    ", "\t\t", "für ", "a\n\n", "𝄞"):
        kept, given_back = heal(qwen, text)
        assert b"".join(qwen.vocabulary.pieces[i] for i in (*kept, *given_back)) == text.encode()


def test_an_unlikely_word_is_not_left_behind(qwen):
    """` b` is less likely after `return` than the single space that begins it, which leads nowhere."""
    found = line(qwen, "", "def add(a, b):\n    return b", "\n\n\nprint(add(1, 2))\n")
    assert found.lstrip().startswith(("+", "*", "-", "and", "or")) or found.strip() == ""
