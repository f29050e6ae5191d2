"""What kinds of servers are asked, and how they answer: llama.cpp's own, Ollama, and what speaks OpenAI's protocol.

Sources: llama.cpp tools/server/README.md, Ollama docs/api.md, OpenAI's API reference, the documentation of vLLM.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, TypeAlias

from lsp_server.errors import ModelError, nearest
from lsp_server.model.base import Evaluation

Get: TypeAlias = Callable[[str], Any]  # a path to the JSON there, or None
Messages: TypeAlias = Sequence[dict[str, str]]  # the last may be the assistant's, for it to go on with

N_BEST = 2  # log probabilities that are asked for: the token's and its rival's


class Question(NamedTuple):
    """What is posted where."""

    path: str
    body: dict[str, Any]


@dataclass(frozen=True)
class Piece:
    """One piece of an answer, mostly one token. `ended_by`: "model" or "length" with the last one.

    `logprob` is 0 where the server tells none.
    """

    text: str
    logprob: float = 0.0
    rival: str = ""
    rival_logprob: float = 0.0
    ended_by: str = ""
    evaluation: Evaluation | None = None


class Kind(Protocol):
    """A kind of server, with the model that it is asked for."""

    name: str
    model: str
    model_names: tuple[str, ...]  # which its family may be told by
    n_ctx: int | None
    answers_several: bool  # at once, as far as is known
    tells_probabilities: bool  # asked for as long as the server does not refuse to
    evaluates_ahead: bool  # a prompt whose answer nobody wants yet

    def go_on(self, text: str, n_most: int, stop: Sequence[str]) -> Question:
        """Continue a text that is written as the model expects it, control tokens included."""

    def fill(self, prefix: str, suffix: str, n_most: int) -> Question:
        """Fill in the middle; the server knows how its model is asked."""

    def chat(self, messages: Messages, n_most: int) -> Question:
        """Answer a conversation; the server knows its format."""

    def read(self, said: dict[str, Any]) -> Piece:
        """Read one line of an answer."""


class LlamaCpp:
    """llama.cpp's server."""

    name = "llama.cpp"
    evaluates_ahead = True

    def __init__(self, props: dict[str, Any], model: str) -> None:
        self.tells_probabilities = True
        names = (str(props.get("model_path") or ""), str(props.get("model_alias") or ""))
        self.model_names = tuple(filter(None, (model, *names)))
        self.model = model
        n_slots = props.get("total_slots")
        self.answers_several = isinstance(n_slots, int) and n_slots > 1
        n_ctx = (props.get("default_generation_settings") or {}).get("n_ctx")
        self.n_ctx = n_ctx if isinstance(n_ctx, int) and n_ctx > 0 else None

    def go_on(self, text: str, n_most: int, stop: Sequence[str]) -> Question:
        return Question("/completion", {"prompt": text, "stop": list(stop), **self._common(n_most)})

    def fill(self, prefix: str, suffix: str, n_most: int) -> Question:
        body = {"input_prefix": prefix, "input_suffix": suffix, "prompt": "", **self._common(n_most)}
        return Question("/infill", body)

    def chat(self, messages: Messages, n_most: int) -> Question:
        # An answer can be begun for a model only where it does not think first.
        body = _openai_chat(self, messages, n_most) | {"chat_template_kwargs": {"enable_thinking": False}}
        return Question("/v1/chat/completions", body | {"cache_prompt": True, "timings_per_token": True})

    def read(self, said: dict[str, Any]) -> Piece:
        evaluation = None
        if timings := said.get("timings"):
            evaluation = Evaluation(int(timings.get("cache_n", 0)), int(timings.get("prompt_n", 0)))
        if "choices" in said:
            return _openai_piece(said, evaluation)
        ended_by = ("length" if said.get("stop_type") == "limit" else "model") if said.get("stop") else ""
        return _piece(said.get("content") or "", said.get("completion_probabilities"), ended_by, evaluation)

    def _common(self, n_most: int) -> dict[str, Any]:
        best = {"n_probs": N_BEST} if self.tells_probabilities else {}
        named = {"model": self.model} if self.model else {}  # for a server that routes to several
        return {
            "n_predict": n_most,
            "temperature": 0,
            "stream": True,
            "cache_prompt": True,
            "timings_per_token": True,
            **best,
            **named,
        }


class Ollama:
    """Ollama, by its own protocol: only there it can be asked without a template."""

    name = "Ollama"
    evaluates_ahead = False
    answers_several = False  # unless its user says so, where nobody can see it
    n_ctx: int | None = None  # as long as its user wants; asking for another would load the model anew

    def __init__(self, model: str) -> None:
        self.tells_probabilities = True
        self.model = model
        self.model_names: tuple[str, ...] = (model,)

    def go_on(self, text: str, n_most: int, stop: Sequence[str]) -> Question:
        return Question("/api/generate", {"prompt": text, "raw": True, **self._common(n_most, stop)})

    def fill(self, prefix: str, suffix: str, n_most: int) -> Question:
        return Question("/api/generate", {"prompt": prefix, "suffix": suffix, **self._common(n_most)})

    def chat(self, messages: Messages, n_most: int) -> Question:
        return Question("/api/chat", {"messages": messages, **self._common(n_most)})

    def read(self, said: dict[str, Any]) -> Piece:
        text = said.get("response") or (said.get("message") or {}).get("content") or ""
        ended_by = ("length" if said.get("done_reason") == "length" else "model") if said.get("done") else ""
        return _piece(text, said.get("logprobs"), ended_by)

    def _common(self, n_most: int, stop: Sequence[str] = ()) -> dict[str, Any]:
        options: dict[str, Any] = {"num_predict": n_most, "temperature": 0}
        if stop:
            options["stop"] = list(stop)
        best = {"logprobs": True, "top_logprobs": N_BEST} if self.tells_probabilities else {}
        return {"model": self.model, "stream": True, "options": options, **best}


class OpenAi:
    """vLLM, LM Studio, and whatever else speaks OpenAI's protocol."""

    name = "OpenAI-compatible"
    evaluates_ahead = False

    def __init__(self, model: str, row: dict[str, Any]) -> None:
        """row: what the server's list of models says of it."""
        self.tells_probabilities = True
        self.model, self.model_names = model, tuple(filter(None, (model, str(row.get("root") or ""))))
        n_ctx = row.get("max_model_len")
        self.n_ctx = n_ctx if isinstance(n_ctx, int) and n_ctx > 0 else None
        self.answers_several = self._is_vllm = row.get("owned_by") == "vllm"

    def go_on(self, text: str, n_most: int, stop: Sequence[str]) -> Question:
        stopped = {"stop": list(stop[:4])} if stop else {}  # the protocol allows no more
        return Question("/v1/completions", {"prompt": text, **stopped, **self._common(n_most)})

    def fill(self, prefix: str, suffix: str, n_most: int) -> Question:
        return Question("/v1/completions", {"prompt": prefix, "suffix": suffix, **self._common(n_most)})

    def chat(self, messages: Messages, n_most: int) -> Question:
        body = _openai_chat(self, messages, n_most)
        if self._is_vllm and messages[-1]["role"] == "assistant":
            body |= {"continue_final_message": True, "add_generation_prompt": False}
        return Question("/v1/chat/completions", body)

    def read(self, said: dict[str, Any]) -> Piece:
        return _openai_piece(said)

    def _common(self, n_most: int) -> dict[str, Any]:
        best = {"logprobs": N_BEST} if self.tells_probabilities else {}
        return {"model": self.model, "max_tokens": n_most, "temperature": 0, "stream": True, **best}


def find(kind: str, get: Get, wanted: str) -> Kind | None:
    """Find out what kind of server it is, and which model it is to be asked for; None when it is of no kind.

    kind: "auto", or the one that it is said to be. wanted: the model, "" for the only one. Raises ModelError when
    there is no such model, or none was named where there are several.
    """
    if kind in ("auto", "llama.cpp"):
        props = get("/props")
        if isinstance(props, dict) and "default_generation_settings" in props:
            return LlamaCpp(props, wanted)
    if kind in ("auto", "ollama"):
        version = get("/api/version")
        if isinstance(version, dict) and "version" in version:
            tags = get("/api/tags")
            names = [str(row.get("name")) for row in _rows(tags, "models")]
            return Ollama(_chosen(f"{wanted}:latest" if f"{wanted}:latest" in names else wanted, names))
    if kind in ("auto", "openai"):
        rows = {str(row.get("id")): row for row in _rows(get("/v1/models"), "data")}
        if rows:
            name = _chosen(wanted, list(rows))
            return OpenAi(name, rows[name])
    return None


def parse(line: bytes) -> dict[str, Any] | None:
    """The JSON of a line, as server-sent event or bare; None when there is none. Raises ValueError."""
    line = line.strip()
    if line.startswith((b"data:", b"error:")):
        line = line.partition(b":")[2].strip()
    elif not line.startswith(b"{"):
        return None  # an empty line, a comment that keeps the connection alive, an event's name
    if line in (b"[DONE]", b""):
        return None
    said = json.loads(line)
    if not isinstance(said, dict):
        raise ValueError("no object")
    return said


def _rows(found: Any, key: str) -> list[dict[str, Any]]:
    rows = found.get(key) if isinstance(found, dict) else None
    return [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []


def _chosen(wanted: str, names: list[str]) -> str:
    shown = ", ".join(f"`{name}`" for name in names[:8]) or "none"
    if wanted:
        if wanted in names:
            return wanted
        raise ModelError(f"The server has no model `{wanted}`", f"{nearest(wanted, names)} It has {shown}".strip())
    if len(names) == 1:
        return names[0]
    raise ModelError("The server has several models, or none", f"Name one as `kruk.remote.model`. It has {shown}")


def _openai_chat(kind: Kind, messages: Messages, n_most: int) -> dict[str, Any]:
    best = {"logprobs": True, "top_logprobs": N_BEST} if kind.tells_probabilities else {}
    named = {"model": kind.model} if kind.model else {}
    return {"messages": messages, "max_tokens": n_most, "temperature": 0, "stream": True, **best, **named}


def _openai_piece(said: dict[str, Any], evaluation: Evaluation | None = None) -> Piece:
    choices = said.get("choices") or [{}]  # none in the line that counts tokens
    choice = choices[0]
    text = choice.get("text") or (choice.get("delta") or {}).get("content") or ""
    reason = choice.get("finish_reason")
    ended_by = ("length" if reason == "length" else "model") if reason else ""
    probabilities = choice.get("logprobs") or {}
    rows = probabilities.get("content")
    if rows is None and probabilities.get("token_logprobs"):  # how the older of the two endpoints has it
        tops = probabilities.get("top_logprobs") or []
        rows = [
            {
                "token": token,
                "logprob": logprob,
                "top_logprobs": [{"token": t, "logprob": p} for t, p in (tops[n] or {}).items()]
                if n < len(tops)
                else [],
            }
            for n, (token, logprob) in enumerate(
                zip(probabilities.get("tokens") or [], probabilities["token_logprobs"], strict=False)
            )
        ]
    return _piece(text, rows, ended_by, evaluation)


def _piece(text: str, rows: Any, ended_by: str, evaluation: Evaluation | None = None) -> Piece:
    """Put a piece together. rows: for each token its text, log probability, and those of the likeliest."""
    rows = rows or []
    logprob = sum(row.get("logprob") or 0.0 for row in rows)
    rivals: list[tuple[float, str]] = []
    if len(rows) == 1:
        tops = rows[0].get("top_logprobs") or []
        rivals = [(top["logprob"], top["token"]) for top in tops if top["token"] not in (rows[0].get("token"), "")]
    rival_logprob, rival = max(rivals, default=(0.0, ""))
    return Piece(text, logprob, rival, rival_logprob, ended_by, evaluation)
