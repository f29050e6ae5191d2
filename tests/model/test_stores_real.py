"""The real default model where Ollama and LM Studio would have put it: listed, used in place, and it completes."""

import json
import os
import subprocess
import sys

import pytest

from tests import stores
from tests.conftest import ROOT

REPOSITORY = "Qwen/Qwen2.5-Coder-0.5B-Instruct-GGUF"


def kruk(home, *arguments):
    """What the command line answers on a machine whose home folder is `home`."""
    variables = {"HOME": home, "USERPROFILE": home, "KRUK_HOME": home / "kruk", "PYTHONPATH": ROOT}
    environment = os.environ | {name: str(path) for name, path in variables.items()}
    for name in ("OLLAMA_MODELS", "HF_HOME", "HF_HUB_CACHE", "LLAMA_CACHE"):
        environment.pop(name, None)
    command = [sys.executable, "-m", "lsp_server", *arguments]
    run = subprocess.run(command, capture_output=True, text=True, env=environment, check=True)
    return run.stdout


@pytest.mark.model
@pytest.mark.parametrize("program", ["ollama", "lmstudio"])
def test_used_in_place(default_model, tmp_path, program):
    if program == "ollama":
        name = "ollama:qwen2.5-coder:0.5b"
        tag = "registry.ollama.ai/library/qwen2.5-coder/0.5b"
        path = stores.ollama(
            tmp_path / ".ollama" / "models", tag, default_model, template="{{ .Prompt }}{{ .Suffix }}"
        )
    else:
        name = f"lmstudio:{default_model.stem}"
        path = stores.place(default_model, tmp_path / ".lmstudio" / "models" / REPOSITORY / default_model.name)
    before = path.stat()

    (row,) = json.loads(kruk(tmp_path, "models", "scan", "--json"))
    assert (row["name"], row["path"], row["fim"], row["problem"]) == (name, str(path), True, "")
    assert row["id"] == "qwen2.5-coder-0.5b-instruct"
    kruk(tmp_path, "models", "use", name)
    source = tmp_path / "add.py"
    source.write_text("def add(a, b):\n    return \n\n\nprint(add(1, 2))\n", encoding="utf-8")
    assert "a + b" in kruk(tmp_path, "complete", f"{source}:2:12")
    assert not (tmp_path / "kruk" / "models").exists()
    assert (path.stat().st_mtime_ns, path.stat().st_size) == (before.st_mtime_ns, before.st_size)
