"""models.json: it follows its schema, it agrees with itself, and every family prompts as its card says."""

import json
import re
from pathlib import Path

import msgspec
import pytest

from lsp_server.errors import CatalogueError
from lsp_server.model import catalogue, registry
from lsp_server.model.catalogue import DEFAULT_MODEL, Fim, HuggingFace, Wheels, load_catalogue

ROOT = Path(__file__).parents[2]
MODELS = load_catalogue().models
FAMILIES = load_catalogue().families


def render(fim: Fim, others: dict[str, str]) -> str:
    """The prompt for prefix "P" and suffix "S" in cur.py of the repository "repo", by Fim's docstring."""
    shown = bool(others)
    header = fim.file_header or ""
    context = "".join(header.format(path=path) + text for path, text in others.items())
    current = header if fim.current_header is None else fim.current_header
    named = current.format(path="cur.py") if shown or fim.header_alone else ""
    repo = (fim.repo_header or "").format(repo="repo") if shown else ""
    before, inside = (context, "") if fim.context_at == "start" else ("", context)
    own = (fim.prefix_header or "").format(path="cur.py") if shown else ""
    prefix = fim.prefix + inside + own + "P"
    suffix = fim.suffix + "S"
    halves = prefix + suffix if fim.order == "psm" else suffix + prefix
    return repo + before + named + halves + (fim.middle or "")


GOLDEN = {  # family: alone, with one other file
    "qwen2.5-coder": (
        "<|fim_prefix|>P<|fim_suffix|>S<|fim_middle|>",
        "<|repo_name|>repo\n<|file_sep|>a.py\nA\n<|file_sep|>cur.py\n<|fim_prefix|>P<|fim_suffix|>S<|fim_middle|>",
    ),
    "qwen3-coder": (
        "<|fim_prefix|>P<|fim_suffix|>S<|fim_middle|>",
        "<|repo_name|>repo\n<|file_sep|>a.py\nA\n<|file_sep|>cur.py\n<|fim_prefix|>P<|fim_suffix|>S<|fim_middle|>",
    ),
    "starcoder2": (
        "<fim_prefix>P<fim_suffix>S<fim_middle>",
        "<repo_name>repo<file_sep>a.py\nA\n<file_sep><fim_prefix>cur.py\nP<fim_suffix>S<fim_middle>",
    ),
    "deepseek-coder": ("<｜fim▁begin｜>P<｜fim▁hole｜>S<｜fim▁end｜>", None),
    "deepseek-coder-v2": ("<｜fim▁begin｜>P<｜fim▁hole｜>S<｜fim▁end｜>", None),
    "codegemma": ("<|fim_prefix|>P<|fim_suffix|>S<|fim_middle|>", None),
    "granite-3": ("<fim_prefix>P<fim_suffix>S<fim_middle>", None),
    "granite-4": ("<|fim_prefix|>P<|fim_suffix|>S<|fim_middle|>", None),
    "codestral": ("[SUFFIX]S[PREFIX]P", "[SUFFIX]S[PREFIX]+++++ a.py\nA\n+++++ cur.py\nP"),
    "mellum": (
        "<filename>cur.py\n<fim_suffix>S<fim_prefix>P<fim_middle>",
        "<reponame>repo<filename>a.py\nA\n<filename>cur.py\n<fim_suffix>S<fim_prefix>P<fim_middle>",
    ),
    "seed-coder": ("<[fim-suffix]>S<[fim-prefix]>P<[fim-middle]>", None),
    "refact": ("<fim_prefix>P<fim_suffix>S<fim_middle>", None),
    "stable-code": ("<fim_prefix>P<fim_suffix>S<fim_middle>", None),
}


@pytest.mark.parametrize("family", [family.id for family in FAMILIES if family.fim])
def test_fim_prompts(family):
    fim = load_catalogue().family(family).fim
    alone, with_others = GOLDEN[family]

    assert render(fim, {}) == alone
    if with_others is None:
        assert fim.file_header is None
    else:
        assert render(fim, {"a.py": "A\n"}) == with_others


@pytest.mark.parametrize(
    ("family", "bos"),
    [
        ("codestral", True),
        ("codegemma", True),
        ("deepseek-coder", True),
        ("qwen2.5-coder", False),
        ("bielik", True),
    ],
)
def test_who_begins_with_bos(family, bos):
    assert load_catalogue().family(family).bos is bos


def test_the_markers_of_a_format():
    fim = load_catalogue().family("qwen2.5-coder").fim

    assert fim.tokens == ("<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>")
    assert fim.markers >= {*fim.tokens, "<|repo_name|>", "<|file_sep|>", "<|endoftext|>"}
    assert not any("{" in marker for marker in load_catalogue().markers())
    assert "<reponame>" in load_catalogue().markers()


def test_the_schema_file_is_fresh():
    written = json.loads((ROOT / "models.schema.json").read_text("utf-8"))

    assert written == catalogue.schema(), "write catalogue.schema() to models.schema.json again"


def test_models_json_points_to_its_schema_first():
    content = json.loads((ROOT / "models.json").read_text("utf-8"))

    assert next(iter(content.items())) == ("$schema", "./models.schema.json")


def test_the_default_model():
    model = load_catalogue().model(DEFAULT_MODEL)

    assert model is not None
    assert model.kind == "instruct"
    assert load_catalogue().family(model.family).fim is not None
    assert model.licence.commercial
    file = model.files[0]
    assert (file.quantisation, file.size_bytes, file.unverified) == ("Q4_K_M", 491_400_064, ())
    assert file.sha256 == "1d9614638d18024d0fbb36575a15f1302a3adf044df10345688ec4f6e1c4ff32"
    assert [type(source) for source in file.sources] == [HuggingFace, Wheels]


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.id)
def test_every_model(model):
    family = load_catalogue().family(model.family)
    assert load_catalogue().model(model.id.upper()) is model
    assert all(file.sources for file in model.files)
    assert model.kind == "base" or family.chat or model.note or family.note
    # A file of this model must be recognised by its name alone, wherever it lies.
    architecture = family.architectures[0]
    recognised = load_catalogue().family_of(architecture, model.title)
    assert recognised is family
    for file in model.files:
        assert model.memory_bytes(file, 8192) > model.file_bytes(file) > 50_000_000
        assert not (file.sha256 is None and "sha256" in file.unverified)
        assert not (file.size_bytes is None and "size_bytes" in file.unverified)
        for source in file.sources:
            if isinstance(source, Wheels):
                members = [source.member.format(n=n, index=n - 1) for n in range(1, source.count + 1)]
                assert len(set(members)) == source.count
                assert file.sha256 and file.size_bytes and not file.unverified
            else:
                assert re.fullmatch(r"[\w.-]+/[\w.-]+", source.repo)


def test_who_must_not_be_used_commercially():
    barred = {model.id for model in MODELS if not model.licence.commercial}

    assert barred == {"qwen2.5-coder-3b", "qwen2.5-coder-3b-instruct", "codestral-22b"}


def test_memory_grows_with_the_context_up_to_the_trained_one():
    model = load_catalogue().model(DEFAULT_MODEL)
    file = model.files[0]

    assert model.memory_bytes(file, 2000) - model.memory_bytes(file, 1000) == 1000 * 12_288
    assert model.memory_bytes(file, 1 << 20) == model.memory_bytes(file, 32_768)


@pytest.mark.parametrize(
    ("architecture", "name", "family"),
    [
        ("qwen2", "Qwen2.5 Coder 0.5B Instruct AWQ", "qwen2.5-coder"),
        ("qwen2", "Qwen2.5 7B Instruct", "qwen"),
        ("qwen3moe", "Qwen3-Coder-30B-A3B-Instruct", "qwen3-coder"),
        ("llama", "Qwen2.5 Coder", None),
        ("llama", "deepseek-ai_deepseek-coder-6.7b-base", "deepseek-coder"),
        ("deepseek2", "DeepSeek-Coder-V2-Lite-Base", "deepseek-coder-v2"),
        ("gemma", "codegemma-2b", "codegemma"),
        ("gemma3", "Gemma 3 270m", "gemma"),
        ("llama", "Llama PLLuM 8B instruct", "llama3"),
        ("llama", "Meta Llama 3.1 8B Instruct", "llama3"),
        ("mamba2", "Mamba-Codestral-7B", None),
        ("qwen2", "sweep-next-edit", None),
    ],
)
def test_family_of_a_file(architecture, name, family):
    found = load_catalogue().family_of(architecture, name)

    assert (found.id if found else None) == family


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("gemma-2-2b", "gemma-2-2b-it-Q4_K_M.gguf"),
        ("pllum-8b-instruct", "Llama-PLLuM-8B-instruct.Q4_K_M.gguf"),
        ("bielik-11b-v2.3-instruct", "Bielik-11B-v2.3-Instruct.Q4_K_M.gguf"),
        ("bielik-4.5b-v3.0-instruct:Q8_0", "Bielik-4.5B-v3.0-Instruct.Q8_0.gguf"),
        ("gemma-2-2b:q8_0", "gemma-2-2b-it-Q8_0.gguf"),
    ],
)
def test_models_by_the_names_people_use(name, file):
    assert registry.find(name)[1].file == file


def q8(name, **facts):
    """A file row."""
    return {"quantisation": "Q8_0", "file": name, **facts}


def small(**changes):
    """A catalogue of one family and one model, as JSON."""
    family = {"id": "f", "fim": None, "chat": "chatml", "architectures": ["llama"], "match": ["f"]}
    model = {
        "id": "m", "title": "M", "family": "f", "kind": "base", "params_b": 1,
        "n_ctx_train": 1, "kv_bytes_per_token": 1, "files": [q8("m.gguf")],
        "licence": {"id": "mit", "name": "MIT", "commercial": True},
    }  # fmt: skip
    content = {"families": [family], "models": [{**model, **changes}]}
    return msgspec.json.encode(content)


def test_a_small_catalogue_is_valid():
    assert catalogue.parse(small()).models[0].id == "m"


@pytest.mark.parametrize(
    ("text", "what"),
    [
        (b"{", "not valid"),
        (small(family="g"), "unknown family `g`"),
        (small(colour="red"), "unknown field `colour`"),
        (small(kind="chat"), "$.models[0].kind"),
        (small(files=[]), "$.models[0].files"),
        (small(id="Has Spaces"), "$.models[0].id"),
        (small(files=[q8("../m.gguf")]), "$.models[0].files[0].file"),
        (small(files=[q8("m.gguf", sha256="12")]), "sha256"),
        (small(files=[q8("m.gguf"), q8("M.gguf")]), "`m.gguf` is there twice"),
        (small(files=[q8("m.gguf"), q8("n.gguf")]), "quantisation twice"),
        (small(aliases=["m"]), "`m` is there twice"),
    ],
)  # fmt: skip
def test_mistakes_in_a_catalogue_are_named(text, what):
    with pytest.raises(CatalogueError) as caught:
        catalogue.parse(text)
    assert what in caught.value.what


USERS = """{
  "families": [
    {"id": "mine", "fim": null, "chat": "chatml", "architectures": ["llama"], "match": ["own-model"]}
  ],
  "models": [
    {
      "id": "own-model",
      "title": "Own model",
      "family": "mine",
      "kind": "instruct",
      "params_b": 1.5,
      "n_ctx_train": 4096,
      "kv_bytes_per_token": 1000,
      "licence": {"id": "mit", "name": "MIT", "commercial": true},
      "files": [
        {"quantisation": "Q8_0", "file": "own.gguf"},
        {"quantisation": "Q4_0", "file": "own-4.gguf"}
      ]
    }
  ]
}
"""


def write_users(home, text):
    (home / "models.json").write_text(text, encoding="utf-8")


def test_a_users_own_models_are_added(home):
    n_before = len(load_catalogue().models)
    write_users(home, USERS)

    assert load_catalogue().model("own-model").title == "Own model"
    assert len(load_catalogue().models) == n_before + 1
    assert load_catalogue().families[0].id == "mine"  # it comes first where names match
    (home / "models.json").unlink()
    assert load_catalogue().model("own-model") is None


def test_a_users_row_takes_the_place_of_a_known_one(home):
    spec = load_catalogue().model(DEFAULT_MODEL)
    text = json.dumps({"models": [{**msgspec.to_builtins(spec), "title": "Ours"}]})
    write_users(home, text)

    assert load_catalogue().model(DEFAULT_MODEL).title == "Ours"
    assert [model.id for model in load_catalogue().models].count(DEFAULT_MODEL) == 1


@pytest.mark.parametrize(
    ("old", "new", "line", "what"),
    [
        ('"instruct"', '"chat"', 10, "Invalid enum value 'chat'"),
        ('"params_b": 1.5,', '"params_b": 1.5, "colour": 1,', 6, "unknown field `colour`"),
        ('"file": "own-4.gguf"', '"file": "../own.gguf"', 17, "matching regex"),
        ('"own-4.gguf"', '"own.gguf"', 16, "`own.gguf` is there twice"),
        ('"mine",\n', '"theirs",\n', 9, "unknown family `theirs`"),
        ('"own-model",\n', f'"{DEFAULT_MODEL}-x",\n', 0, ""),
        ('["own-model"]', '["("]', 3, "bad pattern"),
        ('"title": "Own model",', '"title": "Own model"', 9, "not valid JSON"),
        ('"kind": "instruct",', "", 6, "missing required field `kind`"),
    ],
)
def test_a_bad_row_of_a_user_is_told_by_its_line(home, old, new, line, what):
    assert USERS.count(old) == 1
    write_users(home, USERS.replace(old, new))
    if not what:
        assert load_catalogue().model(f"{DEFAULT_MODEL}-x")
        return
    with pytest.raises(CatalogueError) as caught:
        load_catalogue()
    assert what in caught.value.what
    assert caught.value.what.startswith(f"{home / 'models.json'}:{line}: ")


@pytest.mark.parametrize(
    ("old", "new", "line", "what"),
    [
        ('"id": "ours",', f'"id": "{DEFAULT_MODEL}",', 3, "is there twice"),
        ('"id": "theirs",', '"id": "ours",', 3, "`ours` is there twice"),
        ('"scale": 0.5', '"scale": "much"', 6, "Expected `float`"),
        ('"path": "a.gguf", ', "", 6, "missing required field `path`"),
        ('"base",', '"ours",', 10, "`ours` has adapters itself"),
        ('[{"path": "b.gguf"}]', "[]", 11, "length >= 1"),
    ],
)
def test_a_bad_row_with_adapters_is_told_by_its_line(home, old, new, line, what):
    text = """{
  "adapted": [
    {
      "id": "ours",
      "model": "x:y",
      "adapters": [{"path": "a.gguf", "scale": 0.5}]
    },
    {
      "id": "theirs",
      "model": "base",
      "adapters": [{"path": "b.gguf"}]
    }
  ]
}
"""
    write_users(home, text)
    assert load_catalogue().adapted_model("Ours").adapters[0].scale == 0.5
    assert text.count(old) == 1
    write_users(home, text.replace(old, new))
    with pytest.raises(CatalogueError) as caught:
        load_catalogue()
    assert what in caught.value.what
    assert caught.value.what.startswith(f"{home / 'models.json'}:{line}: ")


def test_a_file_that_is_not_json(home):
    write_users(home, "{\n\n  oops")
    with pytest.raises(CatalogueError, match=r"models.json:3: it is not valid JSON"):
        load_catalogue()
