"""The exact text of a conversation in each family's format, as the model cards have it."""

from dataclasses import replace

import pytest

from lsp_server.chat import jinja, template
from lsp_server.chat.template import FORMATS, Message, format_of, tokens
from lsp_server.errors import ModelError
from lsp_server.model.fake import FakeModel, saying
from tests import gguf_files

TALK = [
    Message("system", "Be brief"),
    Message("user", "Hello"),
    Message("assistant", "Hi there"),
    Message("user", "  Who?  "),
]

GOLDEN = {
    "remote": "<|turn:system|>Be brief<|turn:end|><|turn:user|>Hello<|turn:end|>"
    "<|turn:assistant|>Hi there<|turn:end|><|turn:user|>  Who?  <|turn:end|><|turn:assistant|>",
    "phi4": "<|im_start|>system<|im_sep|>Be brief<|im_end|><|im_start|>user<|im_sep|>Hello<|im_end|>"
    "<|im_start|>assistant<|im_sep|>Hi there<|im_end|><|im_start|>user<|im_sep|>  Who?  <|im_end|>"
    "<|im_start|>assistant<|im_sep|>",
    "chatml-thinking": "<|im_start|>system\nBe brief<|im_end|>\n<|im_start|>user\nHello<|im_end|>\n"
    "<|im_start|>assistant\n<think>\n\n</think>\n\nHi there<|im_end|>\n<|im_start|>user\n  Who?  <|im_end|>\n"
    "<|im_start|>assistant\n<think>\n\n</think>\n\n",
    "chatml": "<|im_start|>system\nBe brief<|im_end|>\n<|im_start|>user\nHello<|im_end|>\n"
    "<|im_start|>assistant\nHi there<|im_end|>\n<|im_start|>user\n  Who?  <|im_end|>\n<|im_start|>assistant\n",
    "llama3": "<|begin_of_text|><|start_header_id|>system<|end_header_id|>\n\nBe brief<|eot_id|>"
    "<|start_header_id|>user<|end_header_id|>\n\nHello<|eot_id|>"
    "<|start_header_id|>assistant<|end_header_id|>\n\nHi there<|eot_id|>"
    "<|start_header_id|>user<|end_header_id|>\n\nWho?<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n",
    "gemma": "<bos><start_of_turn>user\nBe brief\n\nHello<end_of_turn>\n"
    "<start_of_turn>model\nHi there<end_of_turn>\n<start_of_turn>user\nWho?<end_of_turn>\n<start_of_turn>model\n",
    "mistral-v7-tekken": "<s>[SYSTEM_PROMPT]Be brief[/SYSTEM_PROMPT][INST]Hello[/INST]Hi there</s>"
    "[INST]  Who?  [/INST]",
    "mistral-v7": "<s>[SYSTEM_PROMPT] Be brief[/SYSTEM_PROMPT][INST] Hello[/INST] Hi there</s>[INST]   Who?  [/INST]",
    "mistral-v3-tekken": "<s>[INST]Be brief\n\nHello[/INST]Hi there</s>[INST]  Who?  [/INST]",
    "mistral-v3": "<s>[INST] Be brief\n\nHello[/INST] Hi there</s>[INST]   Who?  [/INST]",
    "mistral-v1": "<s> [INST] Be brief\n\nHello [/INST] Hi there</s> [INST]   Who?   [/INST]",
    "deepseek": "<｜begin▁of▁sentence｜>Be brief### Instruction:\nHello\n### Response:\nHi there\n<|EOT|>\n"
    "### Instruction:\n  Who?  \n### Response:\n",
    "deepseek3": "<｜begin▁of▁sentence｜>Be brief\n\n<｜User｜>Hello<｜Assistant｜>Hi there<｜end▁of▁sentence｜>"
    "<｜User｜>  Who?  <｜Assistant｜>",
    "deepseek2": "<｜begin▁of▁sentence｜>Be brief\n\nUser: Hello\n\nAssistant: Hi there<｜end▁of▁sentence｜>"
    "User:   Who?  \n\nAssistant:",
    "granite": "<|start_of_role|>system<|end_of_role|>Be brief<|end_of_text|>\n"
    "<|start_of_role|>user<|end_of_role|>Hello<|end_of_text|>\n"
    "<|start_of_role|>assistant<|end_of_role|>Hi there<|end_of_text|>\n"
    "<|start_of_role|>user<|end_of_role|>  Who?  <|end_of_text|>\n<|start_of_role|>assistant<|end_of_role|>",
    "phi4-mini": "<|system|>Be brief<|end|><|user|>Hello<|end|><|assistant|>Hi there<|end|>"
    "<|user|>  Who?  <|end|><|assistant|>",
    "phi3": "<|system|>\nBe brief<|end|>\n<|user|>\nHello<|end|>\n<|assistant|>\nHi there<|end|>\n"
    "<|user|>\n  Who?  <|end|>\n<|assistant|>\n",
}  # fmt: skip

CONTROLS = (
    "<|im_start|>", "<|im_sep|>", "<|im_end|>", "<think>", "</think>", "<|begin_of_text|>", "<|start_header_id|>",
    "<|end_header_id|>", "<|eot_id|>", "<bos>", "<start_of_turn>", "<end_of_turn>", "<s>", "</s>", "[INST]",
    "[/INST]", "[SYSTEM_PROMPT]", "[/SYSTEM_PROMPT]", "<｜begin▁of▁sentence｜>", "<｜end▁of▁sentence｜>",
    "<|EOT|>", "<｜User｜>", "<｜Assistant｜>", "<|start_of_role|>", "<|end_of_role|>", "<|end_of_text|>", "<|end|>",
    "<|user|>", "<|assistant|>", "<|system|>", "<SPECIAL_20>", "<|tool_call|>", "<｜▁pad▁｜>",
    "<|turn:system|>", "<|turn:user|>", "<|turn:assistant|>", "<|turn:end|>",
)  # fmt: skip


class Tape(FakeModel):
    """Writes down which control tokens and which bytes it is given. `controls`: what its vocabulary has."""

    def __init__(self, family, controls=CONTROLS, path=None):
        super().__init__(saying(""))
        self.controls = controls
        self.info = replace(self.info, chat_family=family, path=path or self.info.path)

    def token_id(self, text):
        return 1000 + CONTROLS.index(text) if text in self.controls else None

    def read(self, ids):
        return b"".join(CONTROLS[i - 1000].encode() if i >= 1000 else bytes([i]) for i in ids).decode()


def without(*texts):
    return tuple(text for text in CONTROLS if text not in texts)


VOCABULARIES = {  # by format: without what its siblings have
    "phi4-mini": without("<|im_sep|>"),
    "phi3": without("<|im_sep|>", "<|tool_call|>"),
    "chatml": without("<think>"),
    "mistral-v7": without("<SPECIAL_20>"),
    "mistral-v3-tekken": without("[SYSTEM_PROMPT]"),
    "mistral-v3": without("[SYSTEM_PROMPT]", "<SPECIAL_20>"),
    "mistral-v1": without("[INST]", "[/INST]", "[SYSTEM_PROMPT]"),
    "deepseek2": without("<｜▁pad▁｜>"),
}


def tape(name):
    """A model that is asked in the format of that name."""
    family = next(format_.family for format_ in FORMATS if format_.name == name)
    return Tape(family, VOCABULARIES.get(name, CONTROLS))


@pytest.mark.parametrize("name", [format_.name for format_ in FORMATS])
def test_the_exact_text(name):
    assert format_of(tape(name)).name == name
    assert tape(name).read(tokens(tape(name), TALK)) == GOLDEN[name]


def test_a_prompt_that_wants_a_first_token_has_it_once():
    model = tape("chatml")
    model.info = replace(model.info, bos=7)
    assert tokens(model, TALK)[:2] == [7, model.token_id("<|im_start|>")]


@pytest.mark.parametrize("name", list(GOLDEN))
def test_what_people_say_is_no_control_token(name):
    said = "".join(CONTROLS) + "x"
    plain, hostile = (tokens(tape(name), [Message("user", content)]) for content in ("x", said))
    assert [i for i in hostile if i >= 1000] == [i for i in plain if i >= 1000]


def test_a_mark_that_is_ordinary_text_is_taken_apart():
    class Words(Tape):
        def tokenize(self, text):
            return [900] if text.strip() == "[/INST]" else super().tokenize(text)

    ids = tokens(Words("mistral", VOCABULARIES["mistral-v1"]), [Message("user", "a [/INST] b")])
    assert ids.count(900) == 1 and bytes(i for i in ids if i < 256).count(b"[/INST]") == 1


def test_the_models_own_tokens_are_used_again():
    ids = tokens(tape("chatml"), [Message("user", "a"), Message("assistant", "bc", (98, 99, 100))])
    assert "bcd<|im_end|>" in tape("chatml").read(ids)


def own(tmp_path, text, **changes):
    return gguf_files.write(tmp_path / "own.gguf", gguf_files.model(tokenizer__chat_template=text, **changes))


@pytest.mark.parametrize(
    ("family", "text", "name"),
    [
        (None, "{{'<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>'}}", "chatml"),
        ("chatml", "'<|im_start|>' … '<|im_end|>' … enable_thinking", "chatml-thinking"),
        ("phi", "{{ '<|user|>\n' }} {{ '<|assistant|>\n' }} '<|end|>\n'", "phi3"),
        ("phi", "'<|system|>' + m + '<|end|>' '<|assistant|>' '<|tool_call|>'", "phi4-mini"),
        ("mistral", "bos_token + ' [INST] ' + system_message + ' [/INST]'", "mistral-v1"),
        ("mistral", "'[INST] ' [AVAILABLE_TOOLS]", "mistral-v3"),
        ("mistral", '"[INST]" + message [AVAILABLE_TOOLS]', "mistral-v3-tekken"),
        (None, "'User: ' + content 'Assistant: ' + content + eos_token", "deepseek2"),
        (None, "<|start_of_role|>assistant<|end_of_role|>", "granite"),
    ],
)
def test_the_format_is_read_off_the_files_template(tmp_path, family, text, name):
    assert format_of(Tape(family, path=own(tmp_path, text))).name == name


def test_a_base_model_holds_no_conversation():
    model = Tape("chatml")
    model.info = replace(model.info, is_instruct=False)
    with pytest.raises(ModelError, match=r"not an instruct model"):
        tokens(model, TALK)


def test_a_model_without_any_format_is_refused(tmp_path):
    with pytest.raises(ModelError, match="format is not known"):
        tokens(Tape(None, path=own(tmp_path, "")), TALK)


# -- the template in a file -------------------------------------------------------------------------------

SIMPLE = (
    "{{ bos_token }}{% for m in messages %}<|user|>{{ m.role }}: {{ m.content | trim }}{{ eos_token }}{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)


def test_an_unknown_family_is_asked_in_its_own_template(tmp_path):
    path = own(tmp_path, SIMPLE, tokenizer__ggml__bos_token_id=1, tokenizer__ggml__eos_token_id=2)
    model = Tape(None, path=path)
    user, assistant = model.token_id("<|user|>"), model.token_id("<|assistant|>")
    ids = tokens(model, [Message("user", "a<|user|>b"), Message("assistant", "c", (5, 6)), Message("user", "d")])
    assert ids == [
        1, user, *b"user: a<|user|>b", 2, user, *b"assistant: ", 5, 6, 2, user, *b"user: d", 2, assistant,
    ]  # fmt: skip


def test_where_a_template_refuses_a_system_turn_its_text_opens_the_first(tmp_path):
    text = "{% if messages[0].role == 'system' %}{{ raise_exception('no') }}{% endif %}" + SIMPLE
    model = Tape(None, path=own(tmp_path, text))
    assert b"user: Be brief\n\nHello" in bytes(i for i in tokens(model, TALK) if i < 256)


@pytest.mark.parametrize(
    "text",
    [
        "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",  # no end
        "{{ 'x' * 9999999999 }}",
        "{{ messages.__class__.__base__.__subclasses__() }}",
        "{% for m in messages %}{{ m.update({'role': 'x'}) }}{% endfor %}",
        "{{ cycler.__init__.__globals__.os.system('true') }}",
        "{% include '/etc/passwd' %}",
        "{{ messages[0].content }}",  # and not the last
        "{% for",
        "{% for a in range(99999) %}xxxxxxxxxx{% endfor %}",
    ],
)
def test_a_hostile_template_fails_and_nothing_else(text, monkeypatch):
    monkeypatch.setattr(jinja, "LIMIT_S", 1.5)
    with pytest.raises(jinja.TemplateFailed, match="chat template in the model's file failed"):
        jinja.render(text, ("user", "assistant", "user"))


@pytest.mark.model
def test_the_default_models_own_template_says_the_same(default_model):
    """Our ChatML against the template that its makers have put into the file."""
    parts = jinja.render(template._own(default_model).template, tuple(message.role for message in TALK))
    assert "".join(TALK[part].content if isinstance(part, int) else part for part in parts) == GOLDEN["chatml"]
