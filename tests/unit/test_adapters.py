"""Which file an adapter is, how much of it counts, and what is refused before llama.cpp sees it."""

import pytest

from lsp_server.errors import ModelFileError, ModelNotFound
from lsp_server.model.adapters import Adapter, adapter_of, check
from lsp_server.model.gguf import read_header
from tests import gguf_files as files


@pytest.mark.parametrize(
    ("written", "name", "scale"),
    [("a.gguf", "a.gguf", 1), ("a.gguf@0.5", "a.gguf", 0.5), ("a.gguf@-1", "a.gguf", -1), ("b@2", "b@2", 1)],
)
def test_a_path_with_a_scale_or_without(tmp_path, monkeypatch, written, name, scale):
    for each in ("a.gguf", "b@2", "b"):
        files.write(tmp_path / each, b"")
    monkeypatch.chdir(tmp_path)
    assert adapter_of(written) == Adapter(tmp_path / name, scale)


@pytest.mark.parametrize("written", ["", "no.gguf", "a.gguf@", "a.gguf@much", "a.gguf@nan", "@1", "~nobody-here/a"])
def test_what_is_no_adapter_on_this_machine(tmp_path, monkeypatch, written):
    files.write(tmp_path / "a.gguf", b"")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ModelNotFound, match="There is no adapter"):
        adapter_of(written)


@pytest.mark.parametrize(
    ("content", "wanted"),
    [
        (files.adapter(64, "llama"), "architecture `llama`; this one is `qwen2`"),
        (files.model(), "not a LoRA adapter"),
        (files.adapter(64, adapter__type="control"), "not a LoRA adapter"),
        (files.adapter(64)[:-300], "is truncated"),
        (b"PK\3\4", "is not a GGUF file"),
    ],
)
def test_what_is_refused(tmp_path, content, wanted):
    base = read_header(files.write(tmp_path / "base.gguf", files.model()))
    check(Adapter(files.write(tmp_path / "good.gguf", files.adapter(64)), 1), base)
    with pytest.raises(ModelFileError, match=wanted):
        check(Adapter(files.write(tmp_path / "adapter.gguf", content), 1), base)
