"""Importing Safetensors: what can be converted, what is asked before anything is fetched, and that nothing is left.

The converter itself is replaced by a program that does what it is told: it takes gigabytes to install.
"""

import json
import sys

import pytest
from typer.testing import CliRunner

from lsp_server import paths
from lsp_server.cli.models import app
from lsp_server.errors import KrukError, ModelFileError
from lsp_server.model import convert, registry
from tests import gguf_files as files


@pytest.fixture
def folder(tmp_path):
    """A model as it is downloaded."""
    model = tmp_path / "Tiny-Coder"
    config = {"architectures": ["Qwen2ForCausalLM"], "torch_dtype": "bfloat16"}
    files.write(model / "config.json", json.dumps(config).encode())
    files.write(model / "model.safetensors", bytes(1000))
    files.write(model / "LICENSE", b"Do good.")
    return model


def change(folder, **values):
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | values))


@pytest.fixture
def converter(home, tmp_path, monkeypatch):
    """A program in the converter's place: it writes a model, or half of one when `broken` is there."""
    program = tmp_path / "program.py"
    program.write_text(
        "import pathlib, shutil, sys\n"
        "arguments = dict(zip(sys.argv[2::2], sys.argv[3::2]))\n"
        "print('converting', flush=True)\n"
        f"shutil.copy({str(tmp_path / 'made.gguf')!r}, arguments['--outfile'])\n"
        f"if pathlib.Path({str(tmp_path / 'broken')!r}).exists():\n    sys.exit('ValueError: an error of its own')\n"
    )
    files.write(tmp_path / "made.gguf", files.model())
    monkeypatch.setattr(convert, "is_ready", lambda: True)
    real = convert._run
    monkeypatch.setattr(
        convert, "_run", lambda command, *rest: real([sys.executable, str(program), *command[1:]], *rest)
    )


def run(*arguments, answer=None):
    return CliRunner().invoke(app, ["import", *map(str, arguments)], input=answer)


def test_a_model_is_looked_at(folder):
    source = convert.look(folder)

    assert (source.architecture, source.size_bytes) == ("Qwen2ForCausalLM", 1000)
    assert [path.name for path in source.licences] == ["LICENSE"]
    assert (source.result_bytes("f16"), source.result_bytes("f32"), source.result_bytes("q8_0")) == (1000, 2000, 531)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("adapter_config.json", b"{}", "LoRA adapter"),
        ("config.json", b"{", "no `config.json`"),
        ("config.json", b'{"architectures": []}', "no `config.json`"),
        (
            "model.safetensors.index.json",
            b'{"weight_map": {"x": "model-2.safetensors"}}',
            "lacks model-2.safetensors",
        ),
    ],
)
def test_what_cannot_be_converted(folder, name, content, said):
    files.write(folder / name, content)
    with pytest.raises(ModelFileError) as caught:
        convert.look(folder)
    assert said in caught.value.what and caught.value.hint


def test_what_is_quantised_or_has_no_weights_is_refused(folder):
    change(folder, quantization_config={"quant_method": "gptq"})
    with pytest.raises(ModelFileError, match="by gptq"):
        convert.look(folder)
    change(folder, quantization_config=None)
    (folder / "model.safetensors").unlink()
    with pytest.raises(ModelFileError, match=r"no `\*.safetensors`"):
        convert.look(folder)


def test_nothing_is_fetched_without_consent(home, folder, monkeypatch):
    monkeypatch.setattr(convert.venv, "create", lambda *_, **__: pytest.fail("it was not asked for"))
    result = run(folder, answer="n\n")

    assert result.exit_code == 1
    for said in (convert.PACKAGE, "PyTorch", "package index", str(convert.environment()), "Fetch it?"):
        assert said in result.stderr.replace("\n", " ") or said in result.stderr.replace("\n", "")
    assert not convert.environment().exists()


def test_an_environment_that_cannot_be_made_is_not_left(home, monkeypatch):
    def create(folder, **_):
        files.write(folder / "half", b"")

    def no_network(*_):
        raise KrukError("The converter was not fetched: no network", "")

    monkeypatch.setattr(convert.venv, "create", create)
    monkeypatch.setattr(convert, "_run", no_network)
    monkeypatch.setattr(convert, "free_bytes", lambda _: 1 << 40)
    with pytest.raises(KrukError, match="no network"):
        convert.prepare(lambda _: None)
    assert not convert.environment().exists() and not convert.is_ready()
    monkeypatch.setattr(convert, "free_bytes", lambda _: 1 << 30)
    with pytest.raises(KrukError, match="of disk"):
        convert.prepare(lambda _: None)


@pytest.mark.usefixtures("converter")
def test_a_model_is_imported_with_its_licence(folder):
    result = run(folder)

    assert result.exit_code == 0, result.stderr
    assert registry.locate("Tiny-Coder.own-f16").path == paths.models_dir() / "Tiny-Coder.own-f16.gguf"
    names = sorted(path.name for path in paths.models_dir().iterdir())
    assert names == ["Tiny-Coder.own-f16.LICENSE", "Tiny-Coder.own-f16.gguf"]
    assert "is there already" in run(folder).stderr
    assert "There is f16, bf16" in run(folder, "--type", "q4_k_m").stderr


@pytest.mark.usefixtures("converter")
@pytest.mark.parametrize("how", ["exit", "half a file"])
def test_a_failed_conversion_leaves_nothing(folder, tmp_path, how):
    if how == "exit":
        files.write(tmp_path / "broken", b"")
    else:
        files.write(tmp_path / "made.gguf", files.model()[:-3])
    result = run(folder)

    assert result.exit_code == 1
    assert ("ValueError: an error of its own" if how == "exit" else "truncated") in result.stderr
    assert list(paths.models_dir().iterdir()) == []
