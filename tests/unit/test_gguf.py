"""The reader of GGUF headers: what it finds in a good file, and how it refuses every other."""

import struct
import time

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lsp_server.errors import ModelFileError
from lsp_server.model.gguf import read_header
from tests import gguf_files as files

VALID = files.model()


def refused(tmp_path, content: bytes) -> ModelFileError:
    """The error that `content` gives."""
    path = files.write(tmp_path / "m.gguf", content)
    with pytest.raises(ModelFileError) as caught:
        read_header(path, ("<|fim_prefix|>",))
    assert caught.value.hint
    assert "m.gguf" in caught.value.what
    return caught.value


def test_reads_what_a_model_says(tmp_path):
    header = read_header(files.write(tmp_path / "m.gguf", VALID), {"<|fim_prefix|>", "<|fim_suffix|>", "<PRE>"})

    assert header.version == 3
    assert header.size_bytes == len(VALID)
    assert header.n_tensors == 2
    assert header.architecture == "qwen2"
    assert header.name == "Qwen2.5 Coder Tiny Instruct"
    assert header.quantisation == "Q4_K_M"
    assert header.n_ctx_train == 2048
    assert header.n_layers == 2
    assert header.n_embd == 64
    assert header.head_counts_kv == (2, 2)
    assert header.key_length == header.value_length == 16
    assert header.sliding_window == 0
    assert header.kv_bytes_per_token == 2 * 2 * (16 + 16) * 2
    assert header.n_vocab == 7
    assert header.chat_template == "<|im_start|>"
    assert header.token_ids == {"<|fim_prefix|>": 4, "<|fim_suffix|>": 6}
    assert header.split_count == 1
    assert header.role == "model"
    assert "tokenizer.ggml.tokens" not in header.metadata
    assert header.array_lengths["tokenizer.ggml.tokens"] == 7


def test_reads_every_scalar_type(tmp_path):
    scalars = {
        "u8": (files.U8, 255), "i8": (files.I8, -128), "u16": (files.U16, 65535), "i16": (files.I16, -32768),
        "u32": (files.U32, 2**32 - 1), "i32": (files.I32, -(2**31)), "f32": (files.F32, 0.5),
        "bool": (files.BOOL, True), "u64": (files.U64, 2**64 - 1), "i64": (files.I64, -(2**63)),
        "f64": (files.F64, 0.1),
    }  # fmt: skip
    header = read_header(files.write(tmp_path / "m.gguf", files.gguf(scalars)))

    assert header.metadata == {key: value for key, (_, value) in scalars.items()}


def test_per_layer_numbers_are_kept(tmp_path):
    content = files.model(**{"qwen2.attention.head_count_kv": [1, 3], "qwen2.attention.key_length": 8})
    header = read_header(files.write(tmp_path / "m.gguf", content))

    assert header.head_counts_kv == (1, 3)
    assert header.kv_bytes_per_token == 4 * (8 + 16) * 2


def test_version_2_and_a_wider_alignment_are_read(tmp_path):
    metadata = files.model_metadata(general__alignment=64)
    content = files.gguf(metadata, [files.tensor("a", (4,)), files.tensor("b", (4,), offset=64)], 64 + 16 + 32, 2)

    assert read_header(files.write(tmp_path / "m.gguf", content)).version == 2


def test_a_header_longer_than_the_first_read(tmp_path):
    padding = "x" * (9 << 20)
    content = files.model(general__description=padding)
    header = read_header(files.write(tmp_path / "m.gguf", content), ["<|fim_middle|>"])

    assert header.metadata["general.description"] == padding
    assert header.token_ids == {"<|fim_middle|>": 5}


@pytest.mark.parametrize(
    ("changes", "label"),
    [
        ({"general.file_type": 7}, "Q8_0"),
        ({"general.file_type": 1024 + 17}, "Q5_K_M"),
        ({"general.file_type": 999}, "F32"),
    ],
)
def test_quantisation_label(tmp_path, changes, label):
    assert read_header(files.write(tmp_path / "m.gguf", files.model(**changes))).quantisation == label


@pytest.mark.parametrize(
    ("changes", "role"),
    [
        ({"general__type": "adapter"}, "adapter"),
        ({"general__type": "mmproj"}, "projector"),
        ({"general__architecture": "clip"}, "projector"),
        ({"general__architecture": "nomic-bert"}, "embedding model"),
        ({"qwen2__pooling_type": 1}, "embedding model"),
        ({"general__architecture": None}, "other file"),
        ({"general__type": "imatrix"}, "other file"),
    ],
)
def test_what_cannot_write_text_is_no_model(tmp_path, changes, role):
    assert read_header(files.write(tmp_path / "m.gguf", files.model(**changes))).role == role


def test_a_vocabulary_alone_is_no_model_but_a_split_without_tensors_is(tmp_path):
    vocabulary = files.write(tmp_path / "v.gguf", files.gguf(files.model_metadata()))
    split = files.write(tmp_path / "s.gguf", files.gguf(files.model_metadata(split__count=(files.U16, 3))))

    assert read_header(vocabulary).role != "model"
    assert read_header(split).role == "model"
    assert read_header(split).split_count == 3


@pytest.mark.parametrize(
    ("content", "looks"),
    [
        (b"", "is empty"),
        (b"<!DOCTYPE html><html>", "web page"),
        (b"\n\n  <html>", "web page"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:12", "git-lfs"),
        (b"PK\x03\x04rest", "zip"),
        (struct.pack("<Q", 60) + b'{"__metadata__":{}}', "safetensors"),
        (b'{"error": "not found"}', "JSON"),
        (b"tjgg\x01\x00\x00\x00", "2023"),
        (b"FUGG\x00\x00\x00\x03", "big-endian"),
        (b"GGUF" + struct.pack(">I", 3), "big-endian"),
        (bytes(600), "zero bytes"),
        (b"just words", "text file"),
        (b"\xde\xad\xbe\xef", "de ad be ef"),
        (b"GGUF", "truncated"),
        (b"GGUF" + struct.pack("<I", 1), "version 1"),
        (b"GGUF" + struct.pack("<I", 4) + bytes(40), "version 4"),
    ],
)
def test_other_files_are_named(tmp_path, content, looks):
    assert looks in refused(tmp_path, content).what


def test_truncation_says_how_much_is_missing(tmp_path):
    whole = files.gguf(files.model_metadata(), [files.tensor("token_embd.weight", (300,))], 1200)

    assert f"1,000 of {len(whole):,} bytes are missing" in refused(tmp_path, whole[:-1000]).what


HOSTILE = 1 << 60


def one_key(rest: bytes) -> bytes:
    """A file that announces one metadata key, `k`, of which `rest` is type and value."""
    return files.gguf({}, n_keys=1)[:24] + files.string("k") + rest + bytes(64)


def tensors(*infos: bytes) -> bytes:
    """A file of these tensor infos and 640 bytes of data."""
    return files.gguf({}, infos, 640)


HOSTILE_FILES = {
    "tensors": (files.gguf({}, n_tensors=HOSTILE), "1,152,921,504,606,846,976 tensors"),
    "keys": (files.gguf({}, n_keys=HOSTILE), "1,152,921,504,606,846,976 metadata keys"),
    "all keys": (files.gguf({}, n_keys=(1 << 64) - 1), "metadata keys"),
    "key length": (
        files.gguf({}, n_keys=1)[:24] + struct.pack("<Q", HOSTILE) + bytes(64),
        "the name of key 0",
    ),
    "string length": (one_key(struct.pack("<IQ", 8, HOSTILE)), "as the length of `k`"),
    "strings": (one_key(struct.pack("<IIQ", 9, 8, HOSTILE)), "an array of 1,152,921,504,606,846,976"),
    "numbers": (one_key(struct.pack("<IIQ", 9, 4, HOSTILE)), "an array of 1,152,921,504,606,846,976"),
    "string in array": (one_key(struct.pack("<IIQQ", 9, 8, 2, HOSTILE)), "a string of 1,152"),
    "nesting": (one_key(struct.pack("<IIQ", 9, 9, 1)), "an array of arrays"),
    "element type": (one_key(struct.pack("<IIQ", 9, 77, 1)), "an array of the unknown type 77"),
    "type": (one_key(struct.pack("<I", 77)), "`k` of the unknown type 77"),
    "no key": (files.gguf({"": 1}), "without a name"),
    "ends in a value": (
        files.gguf({}, n_keys=1)[:24] + files.string("k") + struct.pack("<IH", 4, 1),
        "truncated",
    ),
    "ends in strings": (files.gguf({"k": ["abc", "def"]})[:60], "truncated"),
    "alignment 48": (files.model(general__alignment=48), "power of two"),
    "alignment 0": (files.model(general__alignment=0), "power of two"),
    "alignment u64": (files.model(general__alignment=(files.U64, 32)), "32-bit"),
    "alignment text": (files.model(general__alignment="32"), "32-bit"),
    "layers": (files.model(qwen2__block_count=1 << 31), "a block_count that no model has, 2147483648"),
    "no layers": (files.model(qwen2__block_count=0), "a block_count that no model has, 0"),
    "less than no layers": (files.model(qwen2__block_count=(files.I32, -1)), "a block_count"),
    "layers in words": (files.model(qwen2__block_count="two"), "a block_count that no model has, two"),
    "heads": (files.model(**{"qwen2.attention.head_count_kv": 0x80000002}), "attention.head_count_kv that no"),
    "heads of a layer": (files.model(**{"qwen2.attention.head_count_kv": [2, -2]}), "attention.head_count_kv"),
    "dimensions": (tensors(files.tensor("t", (1, 1, 1, 1, 1))), "5 dimensions"),
    "no elements": (tensors(files.tensor("t", (0,))), "a shape that no tensor can have"),
    "overflow": (tensors(files.tensor("t", (1 << 40, 1 << 40))), "a shape that no tensor can have"),
    "negative": (tensors(files.tensor("t", (1 << 63,))), "a shape that no tensor can have"),
    "removed type": (tensors(files.tensor("t", (32,), 4)), "unknown type 4"),
    "future type": (tensors(files.tensor("t", (32,), 43)), "unknown type 43"),
    "part of a block": (tensors(files.tensor("t", (31,), 8)), "multiple of 32"),
    "hole": (tensors(files.tensor("t", (8,), 0, 64)), "expected at 0"),
    "overlap": (tensors(files.tensor("t", (16,)), files.tensor("u", (8,), 0, 32)), "expected at 64"),
    "same tensor": (tensors(files.tensor("t", (8,)), files.tensor("t", (8,), 0, 32)), "the tensor `t` twice"),
    "long name": (tensors(files.tensor("t" * 64, (8,))), "the name of tensor 0"),
    "beyond the end": (tensors(files.tensor("t", (1 << 40,))), "bytes are missing"),
}


@pytest.mark.parametrize("case", HOSTILE_FILES)
def test_hostile_headers_fail_at_once(tmp_path, case):
    content, what = HOSTILE_FILES[case]
    started = time.process_time()

    assert what in refused(tmp_path, content).what
    assert time.process_time() - started < 0.5


def test_a_key_given_twice_is_refused(tmp_path):
    once = files.string("a") + files.value(1)
    assert "`a` twice" in refused(tmp_path, files.gguf({}, n_keys=2)[:24] + once + once).what


def test_what_cannot_be_opened(tmp_path):
    for path in (tmp_path, tmp_path / "none.gguf"):
        with pytest.raises(ModelFileError, match="cannot be read"):
            read_header(path)


@settings(max_examples=400, deadline=None)
@given(st.integers(0, len(VALID)))
def test_any_truncation_is_refused(tmp_path_factory, length):
    path = files.write(tmp_path_factory.getbasetemp() / "cut.gguf", VALID[:length])
    if length < len(VALID):
        with pytest.raises(ModelFileError):
            read_header(path)
    else:
        assert read_header(path).role == "model"


@settings(max_examples=1500, deadline=None)
@given(st.lists(st.tuples(st.integers(0, len(VALID) - 1), st.integers(0, 255)), min_size=1, max_size=4))
@example([(8, 255), (15, 255)])
@example([(24, 0)])
def test_any_change_gives_a_header_or_the_one_error(tmp_path_factory, changes):
    content = bytearray(VALID)
    for place, byte in changes:
        content[place] = byte
    path = files.write(tmp_path_factory.getbasetemp() / "changed.gguf", bytes(content))
    try:
        header = read_header(path, files.QWEN_TOKENS)
    except ModelFileError as error:
        assert error.what and error.hint
    else:
        facts = (header.name, header.quantisation, header.chat_template, header.role, header.split_count)
        numbers = (header.n_ctx_train, header.kv_bytes_per_token, header.n_vocab, header.sliding_window)
        assert all(isinstance(number, int) for number in numbers)
        assert len(facts) == 5


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=300), st.sampled_from([b"", b"GGUF", b"GGUF\x03\x00\x00\x00", VALID[:24], VALID[:60]]))
def test_noise_gives_a_header_or_the_one_error(tmp_path_factory, noise, start):
    path = files.write(tmp_path_factory.getbasetemp() / "noise.gguf", start + noise)
    try:
        assert read_header(path).version in (2, 3)
    except ModelFileError as error:
        assert error.what


def weights(tmp_path, names, **changes):
    """Header of a file with tensors of 32 by 2 numbers, 68 bytes each as Q8_0."""
    tensors = [files.tensor(name, (32, 2), 8, 96 * i) for i, name in enumerate(names)]
    content = files.gguf(files.model_metadata(**changes), tensors, 96 * len(names))
    return read_header(files.write(tmp_path / "w.gguf", content))


def test_what_is_read_for_each_token(tmp_path):
    tied = weights(tmp_path, ["token_embd.weight", "blk.0.ffn_up.weight"])
    assert (tied.read_bytes, tied.n_parameters, tied.matrix_bytes) == (136, 128, {"Q8_0": 68})
    own = weights(tmp_path, ["token_embd.weight", "blk.0.ffn_up.weight", "output.weight"])
    assert (own.read_bytes, own.matrix_bytes) == (136, {"Q8_0": 136})
    experts = {"qwen2__expert_count": 8, "qwen2__expert_used_count": 2}
    assert weights(tmp_path, ["blk.0.ffn_up_exps.weight", "output.weight"], **experts).read_bytes == 17 + 68


def test_parts_of_a_model_add_up(tmp_path):
    first, second = (weights(tmp_path, [name]) for name in ("token_embd.weight", "output.weight"))
    both = first.joined(second)
    assert (both.n_tensors, both.n_parameters, both.matrix_bytes) == (2, 128, {"Q8_0": 68})
