"""Explain a piece of code: the conversation that asks for it."""

from __future__ import annotations

from importlib import resources

from lsp_server.chat.template import Message

LANGUAGES = {
    "pl": "Polish",
    "de": "German",
    "fr": "French",
    "es": "Spanish",
    "it": "Italian",
    "uk": "Ukrainian",
}


def explain(code: str, language: str, answer_language: str) -> list[Message]:
    """Messages that ask to explain `code`; the words are in prompts/explain.md."""
    words = resources.files("lsp_server").joinpath("prompts/explain.md").read_text(encoding="utf-8")
    wanted = f" Answer in {LANGUAGES.get(answer_language, answer_language)}." if answer_language else ""
    filled = words.replace("{language}", language).replace("{answer_language}", wanted)
    return [Message("user", filled.replace("{code}", code.rstrip("\n")))]
