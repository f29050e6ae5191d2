"""Models of other programs: each store's folders on all three systems are found completely, and nothing else."""

import json
import os
from pathlib import Path

import pytest

from lsp_server.errors import ModelFileError, ModelNotFound
from lsp_server.model import registry, scan, stores
from lsp_server.model.catalogue import DEFAULT_MODEL, load_catalogue
from tests import gguf_files as files
from tests import stores as place

SYSTEMS = ("linux", "macos", "windows")
STORE = {store.id: store for store in stores.load_stores()}
FOLDERS = {  # the folder of each store below the home folder
    ("lmstudio", "linux"): ".lmstudio/models",
    ("lmstudio", "macos"): ".lmstudio/models",
    ("lmstudio", "windows"): ".lmstudio/models",
    ("ollama", "linux"): ".ollama/models",
    ("ollama", "macos"): ".ollama/models",
    ("ollama", "windows"): ".ollama/models",
    ("hf", "linux"): ".cache/huggingface/hub",
    ("hf", "macos"): ".cache/huggingface/hub",
    ("hf", "windows"): ".cache/huggingface/hub",
    ("llamacpp", "linux"): ".cache/llama.cpp",
    ("llamacpp", "macos"): "Library/Caches/llama.cpp",
    ("llamacpp", "windows"): "AppData/Local/llama.cpp",
    ("gpt4all", "linux"): ".local/share/nomic.ai/GPT4All",
    ("gpt4all", "macos"): "Library/Application Support/nomic.ai/GPT4All",
    ("gpt4all", "windows"): "AppData/Local/nomic.ai/GPT4All",
    ("jan", "linux"): ".local/share/Jan/data/llamacpp/models",
    ("jan", "macos"): "Library/Application Support/Jan/data/llamacpp/models",
    ("jan", "windows"): "AppData/Roaming/Jan/data/llamacpp/models",
}


@pytest.fixture(params=SYSTEMS)
def here(request, tmp_path, monkeypatch):
    """This machine, as one of each system with nothing on it."""
    monkeypatch.setenv("KRUK_HOME", str(tmp_path / "kruk"))
    machine = place.machine(request.param, tmp_path / "home")
    monkeypatch.setattr(stores.Machine, "this", lambda: machine)
    return machine


def names(found):
    return sorted(one.stored.name for one in found)


def folder(store, machine):
    return machine.home / FOLDERS[store, machine.system]


def variant(n):
    """A model file that differs from others."""
    return files.model(general__description=f"number {n}")


def fill(machine):
    """Put models and other files where every program puts them; returns the names that must be found."""
    place.ollama(folder("ollama", machine), "registry.ollama.ai/library/qwen2.5-coder/1.5b", variant(1))
    place.ollama(folder("ollama", machine), "registry.ollama.ai/SpeakLeash/bielik-4.5b/Q8_0", variant(2))
    place.ollama(folder("ollama", machine), "hf.co/Qwen/Some-GGUF/Q4_K_M", variant(3))
    files.write(folder("ollama", machine) / "blobs" / f"sha256-{'0' * 64}-partial", b"GG")
    files.write(folder("lmstudio", machine) / "Qwen" / "Coder-GGUF" / "coder-q4_k_m.gguf", variant(4))
    files.write(folder("lmstudio", machine) / "Qwen" / "Coder-GGUF" / "coder-q8_0.gguf", variant(5))
    files.write(folder("lmstudio", machine) / "Qwen" / "Coder-GGUF" / "README.md", b"#")
    files.write(folder("lmstudio", machine) / "Qwen" / "Coder-GGUF" / "downloading_x.gguf.part", b"GG")
    place.hub(folder("hf", machine), "ggml-org/Tiny-GGUF", "tiny-q8_0.gguf", variant(6))
    place.hub(folder("hf", machine), "ggml-org/Deep", "sub/folder/deep.gguf", variant(7))
    place.hub(folder("hf", machine), "org/Other", "model.safetensors", b"1")
    files.write(folder("llamacpp", machine) / "ggml-org_Old_old.gguf", variant(8))
    files.write(folder("llamacpp", machine) / "ggml-org_Old_old.gguf.json", b"{}")
    files.write(folder("gpt4all", machine) / "Llama-3.2-1B.Q4_0.gguf", variant(9))
    files.write(folder("gpt4all", machine) / "localdocs_v3.db", b"")
    files.write(folder("jan", machine) / "Qwen" / "Jan-v1" / "model.gguf", variant(10))
    files.write(folder("jan", machine) / "Qwen" / "Jan-v1" / "model.yml", b"name: x")
    return sorted(
        [
            "ollama:qwen2.5-coder:1.5b",
            "ollama:SpeakLeash/bielik-4.5b:Q8_0",
            "ollama:hf.co/Qwen/Some-GGUF:Q4_K_M",
            "lmstudio:coder-q4_k_m",
            "lmstudio:coder-q8_0",
            "hf:tiny-q8_0",
            "hf:deep",
            "llamacpp:ggml-org_Old_old",
            "gpt4all:Llama-3.2-1B.Q4_0",
            "jan:Jan-v1",
        ]
    )


def test_everything_is_found_and_nothing_else(here):
    assert scan.scan() == []
    wanted = fill(here)
    found = scan.scan()

    assert names(found) == wanted
    assert all(one.located and not one.problem and not one.copies for one in found)
    for one in found:
        assert registry.locate(one.stored.name).path == one.stored.path == one.located.path
        assert registry.locate(one.stored.name.upper()).path == one.stored.path


def test_the_stores_of_another_system_are_not_looked_for(here):
    other = SYSTEMS[(SYSTEMS.index(here.system) + 1) % 3]
    for store in ("llamacpp", "gpt4all", "jan"):
        files.write(here.home / FOLDERS[store, other] / "x" / "m.gguf", variant(1))
        files.write(here.home / FOLDERS[store, other] / "m.gguf", variant(2))

    assert scan.scan() == []


@pytest.mark.parametrize(
    ("store", "variable", "below"),
    [
        ("ollama", "OLLAMA_MODELS", ""),
        ("hf", "HF_HUB_CACHE", ""),
        ("hf", "HUGGINGFACE_HUB_CACHE", ""),
        ("hf", "HF_HOME", "hub"),
        ("hf", "XDG_CACHE_HOME", "huggingface/hub"),
        ("hf", "LLAMA_CACHE", ""),
        ("llamacpp", "LLAMA_CACHE", ""),
    ],
)
def test_variables_move_a_store(here, tmp_path, store, variable, below):
    moved = tmp_path / "elsewhere" / below
    here.environment[variable] = str(tmp_path / "elsewhere")
    if store == "ollama":
        place.ollama(moved, "registry.ollama.ai/library/m/latest", variant(1))
    elif store == "hf":
        place.hub(moved, "a/b", "m.gguf", variant(1))
    else:
        files.write(moved / "m.gguf", variant(1))

    assert names(scan.scan()) == [f"{store}:m:latest" if store == "ollama" else f"{store}:m"]


def test_lm_studio_says_itself_where_its_folder_is(here, tmp_path):
    files.write(here.home / ".lmstudio-home-pointer", f"{tmp_path / 'studio'}\n".encode())
    settings = json.dumps({"downloadsFolder": str(tmp_path / "downloads")}).encode()
    files.write(tmp_path / "studio" / "settings.json", settings)
    files.write(tmp_path / "studio" / "models" / "a" / "b" / "old.gguf", variant(1))
    files.write(tmp_path / "downloads" / "a" / "b" / "new.gguf", variant(2))
    files.write(here.home / ".lmstudio" / "settings.json", b"[not json")

    assert names(scan.scan()) == ["lmstudio:new", "lmstudio:old"]


def test_the_services_of_linux_have_folders_of_their_own(tmp_path):
    machine = place.machine("linux", tmp_path)
    assert "/usr/share/ollama/.ollama/models" in STORE["ollama"].folders["linux"]
    assert stores.folders(STORE["lmstudio"], machine) == []


def test_what_ollama_would_use_is_noted(here):
    parameters, template = {"stop": ["<|im_end|>"], "temperature": 0.2}, "{{ .Prompt }}{{ .Suffix }}"
    place.ollama(
        folder("ollama", here),
        "registry.ollama.ai/library/q/latest",
        variant(1),
        parameters=parameters,
        template=template,
    )
    (found,) = scan.scan()

    assert found.stored.manifest.parameters == parameters
    assert found.stored.manifest.template == template
    assert registry.locate("ollama:q").path == registry.locate("ollama:q:latest").path


@pytest.mark.parametrize(("host", "is_noted"), [("registry.ollama.ai/library", True), ("hf.co/someone", False)])
def test_files_for_ollamas_own_llama_cpp_are_told_apart(here, host, is_noted):
    content = files.model(general__architecture="gemma3", gemma3__block_count=1)
    place.ollama(folder("ollama", here), f"{host}/gemma3/4b", content)
    (found,) = scan.scan()

    assert any("may not load here" in note for note in found.notes) is is_noted


def test_models_without_weights_here_are_told(here):
    root = folder("ollama", here)
    place.ollama(root, "registry.ollama.ai/library/cloud/latest", b"", template="x", config={"remote_host": "x"})
    place.ollama(
        root, "registry.ollama.ai/library/mlx/latest", b"", template="x", config={"model_format": "safetensors"}
    )
    place.ollama(root, "registry.ollama.ai/library/gone/latest", variant(1)).unlink()
    place.ollama(root, "registry.ollama.ai/library/half/latest", variant(2)).write_bytes(b"GGUF")
    files.write(root / "manifests/registry.ollama.ai/library/bad/latest", b"{")
    found = {one.stored.name: one for one in scan.scan()}

    assert "cloud" in found["ollama:cloud:latest"].problem
    assert "safetensors" in found["ollama:mlx:latest"].problem
    for name in ("gone", "half", "bad"):
        assert found[f"ollama:{name}:latest"].hint == f"Run `ollama pull {name}:latest`"
        with pytest.raises(ModelFileError, match="ollama pull"):
            registry.locate(f"ollama:{name}")


def test_a_digest_names_no_file_elsewhere(here, tmp_path):
    secret = files.write(tmp_path / "secret", files.model())
    layer = {"mediaType": place.LAYER + "model", "digest": f"../../{secret}", "size": 1}
    path = folder("ollama", here) / "manifests/registry.ollama.ai/library/x/latest"
    files.write(path, json.dumps({"layers": [layer]}).encode())
    (found,) = scan.scan()

    assert found.problem and found.stored.path == path


def split(path, n, of, **changes):
    metadata = files.model_metadata(split__count=(files.U16, of), split__no=(files.U16, n - 1), **changes)
    return files.write(path.with_name(f"{path.name}-{n:05}-of-{of:05}.gguf"), files.gguf(metadata))


def test_parts_of_a_model_are_one(here):
    base = folder("lmstudio", here) / "a" / "b" / "big"
    first, second = split(base, 1, 2), split(base, 2, 2)
    (found,) = scan.scan()

    assert (found.stored.name, found.stored.path) == ("lmstudio:big", first)
    assert found.located.size_bytes == found.stored.size_bytes == first.stat().st_size + second.stat().st_size
    assert registry.locate(str(second)).path == first

    second.unlink()
    (found,) = scan.scan()
    assert "lacks big-00002-of-00002.gguf" in found.problem and "download it again" in found.hint
    with pytest.raises(ModelFileError, match="lacks"):
        registry.locate(str(first))


def test_what_writes_no_text_is_no_model(here):
    root = folder("lmstudio", here) / "a" / "b"
    files.write(root / "model.gguf", variant(1))
    files.write(root / "mmproj-model-f16.gguf", files.model(general__architecture="clip"))
    files.write(root / "nomic.gguf", files.model(general__architecture="nomic-bert"))
    files.write(root / "lora.gguf", files.model(general__type="adapter"))
    roles = {one.stored.name.partition(":")[2]: one.role for one in scan.scan()}

    assert roles == {
        "model": "model",
        "mmproj-model-f16": "projector",
        "nomic": "embedding model",
        "lora": "adapter",
    }
    assert registry.locate("lmstudio:a/b/model").reference == "lmstudio:model"


def test_links_are_one_file_and_copies_are_told(here):
    path = files.write(folder("lmstudio", here) / "a" / "b" / "m.gguf", variant(1))
    place.place(path, folder("llamacpp", here) / "linked.gguf")
    files.write(folder("gpt4all", here) / "copied.gguf", variant(1))
    found = {one.stored.name: one for one in scan.scan()}

    assert set(found) == {"lmstudio:m", "gpt4all:copied"}
    assert found["lmstudio:m"].same == ("llamacpp:linked",)
    assert found["lmstudio:m"].copies == ("gpt4all:copied",)
    assert found["gpt4all:copied"].copies == ("lmstudio:m",)


def test_broken_files_are_told_with_what_to_do(here):
    files.write(folder("lmstudio", here) / "a" / "b" / "cut.gguf", variant(1)[:-9])
    files.write(folder("gpt4all", here) / "page.gguf", b"<!doctype html>")
    place.hub(folder("hf", here), "a/b", "cut.gguf", variant(2)[:-9])
    found = {one.stored.name: one for one in scan.scan()}

    assert "truncated" in found["lmstudio:cut"].problem
    assert found["lmstudio:cut"].hint == "Delete it in LM Studio and download it again"
    assert "web page" in found["gpt4all:page"].problem
    assert found["hf:cut"].hint == "Download it again with `hf download a/b cut.gguf --force-download`"
    with pytest.raises(ModelFileError, match="`lmstudio:cut` is truncated"):
        registry.locate("lmstudio:cut")


def test_the_current_revision_of_a_repository_counts(here):
    cache = folder("hf", here)
    place.hub(cache, "a/b", "m.gguf", variant(1), "0" * 40, is_current=False)
    current = place.hub(cache, "a/b", "m.gguf", variant(2), "f" * 40)
    place.hub(cache, "a/b", "dropped.gguf", variant(3), "1" * 40, is_current=False)

    assert names(scan.scan()) == ["hf:dropped", "hf:m"]
    assert registry.locate("hf:m").path == current


def test_names_that_are_not_clear(here):
    root = folder("lmstudio", here)
    for publisher in ("one", "two"):
        files.write(root / publisher / "Repo-GGUF" / "same.gguf", variant(publisher))
    files.write(root / "one" / "Other-GGUF" / "other-q4_k_m.gguf", variant(3))
    files.write(root / "one" / "Other-GGUF" / "other-q8_0.gguf", variant(4))

    assert names(scan.scan()) == [
        "lmstudio:one/Repo-GGUF/same",
        "lmstudio:other-q4_k_m",
        "lmstudio:other-q8_0",
        "lmstudio:two/Repo-GGUF/same",
    ]
    with pytest.raises(ModelNotFound, match="can be 2 models") as caught:
        registry.locate("lmstudio:same")
    assert "`lmstudio:two/Repo-GGUF/same`" in caught.value.hint
    assert registry.locate("lmstudio:two/Repo-GGUF/same").path.parent.parent.name == "two"
    assert registry.locate("lmstudio:one/Repo-GGUF").path.name == "same.gguf"
    assert registry.locate("lmstudio:one/Other-GGUF:Q8_0").path.name == "other-q8_0.gguf"
    with pytest.raises(ModelNotFound, match="can be 2 models"):
        registry.locate("lmstudio:Other-GGUF")
    with pytest.raises(ModelNotFound, match="Did you mean `lmstudio:other-q4_k_m`"):
        registry.locate("lmstudio:other-q4")
    with pytest.raises(ModelNotFound, match="kruk models scan"):
        registry.locate("ollama:qwen")


def test_folders_that_the_user_names(here, tmp_path):
    mine = tmp_path / "mine"
    path = files.write(mine / "deep" / "er" / "m.gguf", variant(1))
    files.write(mine / "1" / "2" / "3" / "4" / "5" / "too-deep.gguf", variant(2))

    assert names(scan.scan([mine])) == [str(path)]
    registry.keep_folders([mine])
    registry.keep_folders([mine])
    assert registry.model_folders() == [mine]
    registry.set_default(str(path))
    assert registry.default_choice() == str(path)
    assert registry.model_folders() == [mine]


def test_the_choice_is_kept_by_its_name(here):
    place.ollama(folder("ollama", here), "registry.ollama.ai/library/qwen2.5-coder/1.5b", variant(1))
    located = registry.set_default("ollama:qwen2.5-coder:1.5b")

    assert registry.default_choice() == located.reference == "ollama:qwen2.5-coder:1.5b"
    assert located.family.id == "qwen2.5-coder"
    place.ollama(folder("ollama", here), "registry.ollama.ai/library/qwen2.5-coder/1.5b", variant(2))
    assert registry.locate(registry.default_choice()).path != located.path  # pulled anew by Ollama


def test_a_model_of_the_catalogue_is_used_where_another_program_has_it(here):
    spec = load_catalogue().model(DEFAULT_MODEL)
    file = spec.files[1]  # its size is not known
    path = files.write(folder("lmstudio", here) / "Qwen" / "Coder-GGUF" / file.file, variant(1))
    located = registry.locate(DEFAULT_MODEL)

    assert (located.path, located.file) == (path, file)
    assert registry.locate(located.reference).path == path
    with pytest.raises(ModelNotFound, match="is not on this machine"):
        registry.locate(f"{DEFAULT_MODEL}:Q4_K_M")


def test_a_folder_that_cannot_be_listed_is_told(here, monkeypatch):
    root = folder("ollama", here)
    place.ollama(root, "registry.ollama.ai/library/m/latest", variant(1))
    real = os.scandir

    def scandir(path="."):
        if Path(path) == root:
            raise PermissionError(13, "Permission denied")
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    (found,) = scan.scan()
    assert "cannot be read: Permission denied" in found.problem
    assert "usermod" in found.hint
