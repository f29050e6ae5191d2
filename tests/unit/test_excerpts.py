"""What the endpoint makes of a request: the cursor in a prompt, the document around an excerpt, its language."""

from pathlib import Path

import pytest

from lsp_server.endpoint.documents import N_KEPT, Documents
from lsp_server.endpoint.fim import Place, read_prompt
from lsp_server.model.catalogue import load_catalogue
from lsp_server.syntax.guess import guess_language

FIMS = {family.id: family.fim for family in load_catalogue().families if family.fim}
SAMPLES = Path(__file__).parents[1] / "languages"
LINES = [f"value_{n} = compute(value_{n - 1}, {n})\n" for n in range(1, 200)]


def written(fim, prefix, suffix):
    """A prompt without other files, as the family's model is asked."""
    pieces = [fim.prefix + prefix, fim.suffix + suffix]
    return "".join(pieces if fim.order == "psm" else reversed(pieces)) + (fim.middle or "")


@pytest.mark.parametrize("family", FIMS)
def test_a_prompt_of_any_family_is_read(family):
    fim = FIMS[family]
    assert read_prompt(written(fim, "a = [\n", "]\n")) == Place("a = [\n", "]\n")
    assert read_prompt(written(fim, "", "")) == Place("", "")
    if fim.middle:
        assert read_prompt(written(fim, "a\n", "c\n") + "b").prefix == "a\nb"


@pytest.mark.parametrize("family", [name for name, fim in FIMS.items() if fim.file_header and fim.middle])
def test_a_file_header_names_the_file(family):
    fim = FIMS[family]
    other = fim.file_header.format(path="src/other.go") + "package other\n"
    prompt = other + fim.file_header.format(path="src/main.go") + written(fim, "x := ", "\n")
    assert read_prompt(prompt) == Place("x := ", "\n", "src/main.go")


def test_text_without_a_format_is_before_the_cursor():
    assert read_prompt("if a < b:\n    <fim_prefix> is a token\n") == Place(
        "if a < b:\n    <fim_prefix> is a token\n"
    )


def excerpt(first, cursor, last, typed=""):
    """Lines first to before last, the cursor at the end of what is typed in a new line before line `cursor`."""
    return Place("".join(LINES[first:cursor]) + typed, "\n" + "".join(LINES[cursor:last]).removesuffix("\n"))


@pytest.fixture
def documents():
    forgotten = []
    made = Documents(forgotten.append)
    made.forgotten = forgotten
    return made


def test_an_excerpt_that_moves_with_the_cursor_is_the_same_document(documents):
    first = documents.put(excerpt(10, 40, 60, "x = "))
    moved = documents.put(excerpt(11, 41, 61, "x = "))
    assert moved.document.uri == first.document.uri
    assert moved.document.version > first.document.version
    assert moved.document.text.startswith("".join(LINES[10:41]) + "x = \n")
    assert moved.document.text[: moved.cursor] == "".join(LINES[10:41]) + "x = "
    back = documents.put(excerpt(5, 35, 55, "x = "))
    assert back.document.text[: back.cursor].endswith("".join(LINES[5:35]) + "x = ")
    assert back.document.text[back.cursor :] == "\n" + "".join(LINES[35:61]).removesuffix("\n")


def test_what_was_changed_in_the_excerpt_is_what_stands_there(documents):
    documents.put(excerpt(0, 20, 80))
    place = excerpt(10, 20, 30)
    changed = documents.put(place._replace(prefix=place.prefix.replace("value_15", "sum_15")))
    assert "value_15 =" not in changed.document.text
    assert changed.document.text.startswith(LINES[0])
    assert changed.document.text.endswith(LINES[79].removesuffix("\n"))


def test_typing_in_a_document_of_one_line(documents):
    first = documents.put(Place("x"))
    for prefix in ("x =", "x = f(", "x = "):
        assert documents.put(Place(prefix)).document.uri == first.document.uri
    assert documents.put(Place("y")).document.uri != first.document.uri


def test_documents_are_told_apart_and_found_again(documents):
    one = documents.put(excerpt(0, 40, 60)).document
    two = documents.put(Place(excerpt(0, 40, 60).prefix.replace("value", "other"))).document
    assert one.uri != two.uri
    assert documents.put(excerpt(1, 41, 60, "y")).document.uri == one.uri
    assert documents.put(excerpt(1, 41, 60, "y")._replace(path="a.py")).document.uri not in (one.uri, two.uri)


def test_only_the_newest_documents_are_kept(documents):
    made = [documents.put(Place(f"{chr(97 + n)} = 1\n" * 30)).document.uri for n in range(N_KEPT + 2)]
    assert documents.forgotten == made[:2]


def test_crlf_stays(documents):
    place = excerpt(0, 20, 30, "x")
    put = documents.put(Place(*(text.replace("\n", "\r\n") for text in place[:2])))
    assert put.document.newline == "\r\n"


@pytest.mark.parametrize("name", ["python", "ruby", "lua", "swift", "go", "rust", "java", "javascript", "typescript"])
def test_the_language_is_guessed_by_its_definitions(name):
    (path,) = (SAMPLES / name).glob("sample.*")
    assert guess_language(path.read_text(encoding="utf-8")) == name


@pytest.mark.parametrize(
    "text", ["", "x = 1\n", "Dear reader,\n\nthis is a letter: read it.\n", '{"class": [1, 2]}\n', "\0"]
)
def test_no_language_is_guessed_where_nothing_speaks_for_one(text):
    assert guess_language(text) == ""


def test_a_piece_from_within_a_class_is_guessed():
    assert guess_language("    def area(self):\n        return self.a * self.b\n\n    def grow(self):\n") == "python"
