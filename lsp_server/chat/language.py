"""In which language the model is to answer, said so that small models do it: at the end, in English and in that one.

Without a wish of the user's it is the question's, which is guessed from its commonest words and its letters: a small
model answers a question about code in English otherwise.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from lsp_server.chat.markdown import without_code

LEAST_SIGNS = 2  # words and letters that are a language's own

_WORD = re.compile(r"[^\W\d_]+")


class _Language(NamedTuple):
    name: str
    wish: str
    words: str
    letters: str = ""  # that occur in hardly any other of these


LANGUAGES = {
    "cs": _Language("Czech", "Odpověz česky.", "je co jak proč tento tato kód chyba funkce se", "ěřů"),
    "de": _Language("German", "Antworte auf Deutsch.", "der die das ist und was wie warum nicht diese ein mir", "ß"),
    "en": _Language("English", "Answer in English.", "the is a what how why does do this to of in and not it for"),
    "es": _Language("Spanish", "Responde en español.", "el la qué que es cómo por esta este los una hace", "ñ¿¡"),
    "fr": _Language("French", "Réponds en français.", "le la les est ce que qui comment pourquoi cette un des", "çœ"),
    "it": _Language("Italian", "Rispondi in italiano.", "il lo la che è come perché questa questo cosa una non"),
    "ja": _Language("Japanese", "日本語で答えてください。", "", "のはをがですかなにするこれ"),
    "ko": _Language("Korean", "한국어로 대답하세요.", "", "이가을를는은의하고다요왜"),
    "nl": _Language("Dutch", "Antwoord in het Nederlands.", "de het een wat hoe waarom deze dit niet is doet ik"),
    "pl": _Language("Polish", "Odpowiedz po polsku.", "jest co jak nie to ta ten czy dlaczego się w do", "ąęłśżźć"),
    "pt": _Language("Portuguese", "Responda em português.", "o a que é como por esta este uma um não faz", "ãõ"),
    "ru": _Language("Russian", "Ответь по-русски.", "что как почему это не в на и эта этот функция код", "ыэъё"),
    "sk": _Language("Slovak", "Odpovedz po slovensky.", "je čo ako prečo tento táto kód chyba funkcia sa", "ľĺŕô"),
    "uk": _Language("Ukrainian", "Відповідай українською.", "що як чому це не в на і ця цей функція код", "їєіґ"),
    "zh": _Language("Chinese", "请用中文回答。", "", "的是了什么吗这个为怎不在"),
}  # fmt: skip


def wish(question: str, code: str) -> str:
    """The words that ask for an answer in a language: that of the code, or of the name; for "" the question's."""
    chosen = code.strip().lower() or guess(question)
    if not chosen or (not code and chosen == "en"):
        return ""
    if chosen not in LANGUAGES:
        return f"Answer in {code.strip()}."
    return " ".join(dict.fromkeys((f"Answer in {LANGUAGES[chosen].name}.", LANGUAGES[chosen].wish)))


def guess(question: str) -> str:
    """The code of a question's language; "" when nothing tells."""
    text = without_code(question).lower()
    words, letters = set(_WORD.findall(text)), set(text)
    signs = {
        code: len(words.intersection(row.words.split())) + 2 * len(letters.intersection(row.letters))
        for code, row in LANGUAGES.items()
    }
    best = max(signs, key=signs.__getitem__)
    others = [signs[code] for code in signs if code != best]
    return best if signs[best] >= LEAST_SIGNS and signs[best] > max(others) else ""
