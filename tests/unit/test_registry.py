"""What a name or a path means on this machine."""

import json

import pytest

from lsp_server import paths
from lsp_server.errors import KrukError, ModelFileError, ModelNotFound
from lsp_server.model import registry, stores
from lsp_server.model.adapters import Adapter, adapter_of
from lsp_server.model.catalogue import DEFAULT_MODEL, load_catalogue
from tests import gguf_files as files
from tests import stores as place

SPEC = load_catalogue().model(DEFAULT_MODEL)
BASE = "qwen2.5-coder-0.5b"


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """An empty data folder of our own, on a machine without other programs."""
    monkeypatch.setenv("KRUK_HOME", str(tmp_path / "home"))
    machine = place.machine("linux", tmp_path)
    monkeypatch.setattr(stores.Machine, "this", lambda: machine)
    return tmp_path / "home"


def install(file, content=None):
    """Put a small file where a download would have put `file`."""
    return files.write(paths.models_dir() / file.file, content or files.model())


@pytest.mark.parametrize("name", [DEFAULT_MODEL, DEFAULT_MODEL.upper(), f" {DEFAULT_MODEL}:q4_k_m "])
def test_find_takes_any_case(name):
    assert registry.find(name) == (SPEC, SPEC.files[0])


def test_find_a_quantisation():
    assert registry.find(f"{DEFAULT_MODEL}:Q8_0")[1].quantisation == "Q8_0"


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("qwen2.5-coder-0.5-instruct", f"`{DEFAULT_MODEL}`"),
        ("zzz", "kruk models list"),
        (f"{DEFAULT_MODEL}:Q3_K_S", f"`{DEFAULT_MODEL}:Q8_0`"),
    ],
)
def test_find_names_what_is_near(name, said):
    with pytest.raises(ModelNotFound) as caught:
        registry.find(name)
    assert said in str(caught.value)
    assert "  " not in str(caught.value)


def test_locate_by_id():
    path = install(SPEC.files[0])
    located = registry.locate(DEFAULT_MODEL)

    assert (located.name, located.path, located.spec, located.file) == (
        DEFAULT_MODEL,
        path,
        SPEC,
        SPEC.files[0],
    )
    assert located.is_instruct
    assert located.fim.prefix == "<|fim_prefix|>"
    assert located.header.token_ids["<|fim_middle|>"] == 5


def test_locate_an_id_means_whichever_quantisation_is_here():
    install(SPEC.files[2])

    assert registry.locate(DEFAULT_MODEL).name == f"{DEFAULT_MODEL}:Q8_0"
    with pytest.raises(ModelNotFound, match=f"kruk models pull {DEFAULT_MODEL}`$"):
        registry.locate(f"{DEFAULT_MODEL}:Q4_K_M")


def test_locate_says_how_to_get_what_is_known():
    with pytest.raises(ModelNotFound) as caught:
        registry.locate(f"{BASE}:q5_k_m")
    assert caught.value.hint == f"Get it with `kruk models pull {BASE}:Q5_K_M`"


def test_locate_a_path(tmp_path, monkeypatch):
    path = files.write(tmp_path / "elsewhere" / "some.gguf", files.model())
    monkeypatch.chdir(path.parent)
    monkeypatch.setenv("HOME", str(tmp_path))

    for text in (str(path), "some.gguf", "~/elsewhere/some.gguf"):
        located = registry.locate(text)
        assert (located.name, located.path, located.spec, located.file) == ("some", path, None, None)
        assert located.family.id == "qwen2.5-coder"


def test_locate_a_file_in_the_models_folder_by_its_name():
    path = files.write(paths.models_dir() / "mine.gguf", files.model())

    assert registry.locate("mine").path == registry.locate("mine.gguf").path == path


def test_a_file_with_name_and_size_of_a_row_is_that_row(tmp_path, monkeypatch):
    path = files.write(tmp_path / "QWEN2.5-coder-0.5b-instruct-q5_k_m.gguf", files.model())  # a row without size
    assert registry.locate(str(path)).spec is SPEC

    other_size = files.write(tmp_path / SPEC.files[0].file, files.model())
    assert registry.locate(str(other_size)).spec is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("/no/such/file.gguf", "does not exist"),
        ("none.gguf", "does not exist"),
        ("~nobody-of-that-name/x.gguf", "~nobody"),
        ("/" + "x" * 5000, "x"),
        ("qwen", "no model `qwen`"),
        ("", "no model"),
    ],
)
def test_locate_what_is_not_there(text, said):
    with pytest.raises(ModelNotFound) as caught:
        registry.locate(text)
    assert said in caught.value.what


def test_a_folder_is_no_model(tmp_path):
    with pytest.raises(ModelNotFound, match="is a folder"):
        registry.locate(str(tmp_path))


def test_a_broken_file_is_refused():
    install(SPEC.files[0], files.model()[:-5])

    with pytest.raises(ModelFileError, match="5 of"):
        registry.locate(DEFAULT_MODEL)


def test_an_adapter_is_refused(tmp_path):
    path = files.write(tmp_path / "a.gguf", files.model(general__type="adapter"))

    with pytest.raises(ModelFileError, match="not a language model"):
        registry.locate(str(path))


def write_adapted(home, **row):
    row = {"id": "ours", "model": DEFAULT_MODEL, "adapters": [{"path": "a.gguf", "scale": 0.5}], **row}
    files.write(home / "models.json", json.dumps({"adapted": [row]}).encode())


def test_a_model_with_adapters_is_used_by_its_own_name(home, tmp_path):
    path = install(SPEC.files[0])
    other = files.write(tmp_path / "elsewhere.gguf", files.adapter(64))
    write_adapted(home, adapters=[{"path": "a.gguf", "scale": 0.5}, {"path": str(other)}])
    files.write(home / "a.gguf", files.adapter(64))

    assert registry.set_default("Ours").reference == registry.default_choice() == "ours"
    located = registry.locate("ours")
    assert (located.name, located.path) == ("ours", path)
    assert located.adapters == (Adapter(home / "a.gguf", 0.5), Adapter(other, 1.0))
    assert [adapter_of(str(it)) for it in located.adapters] == list(located.adapters)
    assert registry.locate(DEFAULT_MODEL).adapters == ()
    with pytest.raises(ModelNotFound, match="Did you mean `ours`"):
        registry.find("our")


def test_a_model_with_adapters_needs_all_of_them(home):
    write_adapted(home)
    with pytest.raises(ModelNotFound, match=f"kruk models pull {DEFAULT_MODEL}"):
        registry.locate("ours")
    install(SPEC.files[0])
    with pytest.raises(ModelNotFound, match=r"There is no adapter .*Correct the row `ours`"):
        registry.locate("ours")
    write_adapted(home, adapters=[{"path": "~nobody-of-that-name/a.gguf"}])
    with pytest.raises(ModelNotFound, match="Correct the row `ours`"):
        registry.locate("ours")
    write_adapted(home)
    files.write(home / "a.gguf", files.adapter(64, "llama"))
    with pytest.raises(ModelFileError, match="architecture `llama`"):
        registry.locate("ours")


def test_fim_needs_its_tokens_in_the_vocabulary():
    install(SPEC.files[0], files.model(**{"tokenizer.ggml.tokens": ["a", "<|fim_prefix|>", "<|fim_suffix|>"]}))
    located = registry.locate(DEFAULT_MODEL)

    assert located.fim is None
    assert located.family.chat == "chatml"


def test_a_file_of_no_known_family(tmp_path):
    path = files.write(tmp_path / "x.gguf", files.model(general__name="Nothing We Know"))
    located = registry.locate(str(path))

    assert located.family is None
    assert located.fim is None


TEMPLATE = {"tokenizer.chat_template": "{{ messages }}"}
CHATML = {"tokenizer.chat_template": "{{ '<|im_start|>' + role + content + '<|im_end|>' }}"}
TEXT_END, TURN_END = map(files.QWEN_TOKENS.index, ("<|endoftext|>", "<|im_end|>"))


@pytest.mark.parametrize(
    ("changes", "is_instruct"),
    [
        ({"general.name": "Gemma 2 2b", **TEMPLATE}, True),
        ({"general.name": "Model Instruct", "tokenizer.chat_template": None}, False),  # no name says it
        ({"general.name": "Granite 3.3 2b", "general.finetune": "base", **TEMPLATE}, False),
        ({"general.name": "Qwen2.5 Coder 1.5B", "tokenizer.ggml.eos_token_id": TURN_END, **CHATML}, True),
        ({"general.name": "Qwen2.5 Coder 1.5B", "tokenizer.ggml.eos_token_id": TEXT_END, **CHATML}, False),
        (
            {"tokenizer.ggml.eos_token_id": TEXT_END, "tokenizer.ggml.eot_token_id": TURN_END, **CHATML},
            True,
        ),
        ({"tokenizer.ggml.eos_token_id": None, **CHATML}, True),  # nothing speaks against it
    ],
)
def test_base_or_instruct(tmp_path, changes, is_instruct):
    path = files.write(tmp_path / "x.gguf", files.model(**changes))
    located = registry.locate(str(path))

    assert located.is_instruct is is_instruct
    assert located.kind_reason


def test_installed():
    assert registry.installed() == []
    install(SPEC.files[2])
    stranger = files.write(paths.models_dir() / "stranger.gguf", files.model())
    files.write(paths.models_dir() / "half.gguf.part", b"GG")

    assert [(model.name, model.spec) for model in registry.installed()] == [
        (f"{DEFAULT_MODEL}:Q8_0", SPEC),
        ("stranger", None),
    ]
    assert registry.installed()[1].size_bytes == stranger.stat().st_size


def test_the_default_choice_is_kept(home):
    assert registry.default_choice() is None
    install(SPEC.files[0])
    files.write(home / "settings.json", b'{"other": 1}')

    assert registry.set_default(DEFAULT_MODEL.upper()).name == DEFAULT_MODEL
    assert registry.default_choice() == DEFAULT_MODEL
    assert json.loads((home / "settings.json").read_text()) == {"other": 1, "model": DEFAULT_MODEL}
    assert sorted(path.name for path in home.iterdir()) == ["models", "settings.json"]


def test_a_path_as_default_is_kept_absolute(tmp_path, monkeypatch):
    path = files.write(tmp_path / "x.gguf", files.model())
    monkeypatch.chdir(tmp_path)
    registry.set_default("x.gguf")

    assert registry.default_choice() == str(path)


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b'{"model": 3}', b'{"model": ""}', b"\xff\xfe"])
def test_a_damaged_settings_file_is_no_choice(home, content):
    files.write(home / "settings.json", content)
    assert registry.default_choice() is None

    install(SPEC.files[0])
    registry.set_default(DEFAULT_MODEL)
    assert registry.default_choice() == DEFAULT_MODEL


def test_the_default_must_be_here_and_sound():
    with pytest.raises(ModelNotFound):
        registry.set_default(DEFAULT_MODEL)
    install(SPEC.files[0], b"<html>")
    with pytest.raises(ModelFileError):
        registry.set_default(DEFAULT_MODEL)
    assert registry.default_choice() is None


def test_settings_that_cannot_be_written(home):
    install(SPEC.files[0])
    (home / "settings.json").mkdir()
    with pytest.raises(KrukError, match="cannot be written"):
        registry.set_default(DEFAULT_MODEL)


def test_remove_frees_everything_of_a_model():
    first, second = install(SPEC.files[0]), install(SPEC.files[2])
    part = files.write(paths.models_dir() / f"{SPEC.files[1].file}.part", b"12345")
    files.write(paths.models_dir() / f"{SPEC.files[1].file}.part.d" / "wheel", b"1")
    other = files.write(paths.models_dir() / "other.gguf", files.model())
    registry.set_default(DEFAULT_MODEL)

    assert registry.remove(DEFAULT_MODEL) >= first_size() * 2 + 5
    assert not first.exists() and not second.exists() and not part.exists()
    assert list(paths.models_dir().iterdir()) == [other]
    assert registry.default_choice() is None


def first_size():
    """Bytes of the small file that `install` writes."""
    return len(files.model())


def test_remove_one_quantisation_keeps_the_other_and_the_choice():
    install(SPEC.files[0])
    second = install(SPEC.files[2])
    registry.set_default(DEFAULT_MODEL)
    registry.remove(f"{DEFAULT_MODEL}:Q8_0")

    assert not second.exists()
    assert registry.default_choice() == DEFAULT_MODEL


def test_remove_a_file_by_name_never_leaves_the_folder(tmp_path):
    outside = files.write(tmp_path / "outside.gguf", files.model())
    inside = files.write(paths.models_dir() / "inside.gguf", files.model())

    with pytest.raises(ModelNotFound):
        registry.remove(str(outside))
    assert outside.exists()
    registry.remove("inside")
    assert not inside.exists()
