"""Every setting, once: name, type, default, allowed values and what it does.

The editors' manifests and the README's table are generated from `OPTIONS`; `Settings` is what the code
reads. A bad value never stops the server: `read` keeps the default and says what is wrong.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, TypeAlias

from lsp_server.errors import nearest

SECTION = "kruk"

Value: TypeAlias = "str | int | bool | tuple[str, ...]"

SECRET_GLOBS = (
    "**/.env", "**/.env.*", "**/*.pem", "**/*.key", "**/*.p12", "**/*.pfx", "**/*.jks", "**/*.keystore",
    "**/id_rsa*", "**/id_ed25519*", "**/.ssh/**", "**/.aws/**", "**/.gnupg/**", "**/.netrc", "**/.pgpass",
    "**/secrets.json", "**/secrets.toml", "**/secrets.yaml", "**/secrets.yml", "**/credentials",
    "**/credentials.json", "**/*.kdbx", "**/*.tfstate", "**/*.tfstate.*",
)  # fmt: skip


@dataclass(frozen=True)
class Option:
    """One setting. `name` is dotted, as the user writes it below the section."""

    name: str
    default: Value
    doc: str
    choices: tuple[str, ...] = ()
    minimum: int | None = None
    maximum: int | None = None


OPTIONS = (
    Option(
        "model",
        "",
        "Model for completions: an id from `kruk models list`, or the path of a GGUF file. "
        "Empty: the one chosen by `kruk models use`, else the default model.",
    ),
    Option(
        "chatModel",
        "",
        "Model for actions and chat, loaded beside `model` when one is first asked for. "
        "Empty: `model`, which must then be an instruct model.",
    ),
    Option(
        "draftModel",
        "",
        "Small model of the same vocabulary that drafts what the model says, where `kruk doctor --draft-model` has "
        "measured that this is faster. Empty: none.",
    ),
    Option("completion.enabled", True, "Suggest completions."),
    Option(
        "completion.debounceMs",
        0,
        "Milliseconds of rest after a keystroke before an automatic suggestion is worked on.",
        minimum=0,
        maximum=5000,
    ),
    Option("completion.maxTokens", 96, "Longest suggestion, in tokens.", minimum=1, maximum=1024),
    Option(
        "completion.multiline",
        "auto",
        "`auto` decides from the syntax tree between a line, a statement and a block; `always` and `never` fix it.",
        choices=("auto", "always", "never"),
    ),
    Option(
        "completion.minConfidence",
        30,
        "Keep back what was not asked for by hand when the model gives its first line less than so many percent; "
        "0 shows everything.",
        minimum=0,
        maximum=100,
    ),
    Option("completion.disabledLanguages", (), "Language identifiers in which nothing is suggested."),
    Option(
        "completion.excludeGlobs",
        SECRET_GLOBS,
        "Files that are never read or completed: secrets first of all. Replaces the default list.",
    ),
    Option("context.enabled", True, "Show the model pieces of the project's other files, too."),
    Option(
        "context.budgetTokens",
        1024,
        "Most tokens of the file around the cursor (and of what else is shown) given to the model.",
        minimum=64,
        maximum=32768,
    ),
    Option("threads", 0, "Processor threads for the model; 0 chooses.", minimum=0, maximum=512),
    Option(
        "contextSize",
        4096,
        "Tokens that the KV cache can hold. More needs more memory.",
        minimum=512,
        maximum=131072,
    ),
    Option(
        "remote.url",
        "",
        "Address of a server that runs the model instead of Kruk: llama.cpp's, Ollama, LM Studio, vLLM, or another "
        "that speaks OpenAI's protocol. Such as `http://127.0.0.1:8080`. Nothing but this address is contacted.",
    ),
    Option(
        "remote.kind",
        "auto",
        "What that server is; `auto` asks it.",
        choices=("auto", "llama.cpp", "ollama", "openai"),
    ),
    Option("remote.model", "", "Which of the server's models. Empty: the only one that it has."),
    Option(
        "remote.family",
        "",
        "Family in models.json whose format for filling in the middle that model has, such as `qwen2.5-coder`. "
        "Empty: by its name; if that says nothing, the server has to know how.",
    ),
    Option(
        "remote.allowNonLocal",
        False,
        "Allow an address that is not on this machine. The text around the cursor, and what is asked in chat with "
        "all that it mentions, is then sent there.",
    ),
    Option(
        "remote.keyFile",
        "",
        "File with the server's key. Empty: the environment variable `KRUK_REMOTE_KEY`, if there is one.",
    ),
    Option(
        "remote.patience",
        20,
        "Seconds that the server may say nothing before Kruk gives an answer up.",
        minimum=1,
        maximum=600,
    ),
    Option(
        "adapters",
        (),
        "LoRA adapters for the model: paths of GGUF files that were trained for it, each with `@` and a scale behind "
        "it where that is not 1, such as `~/ours.gguf@0.5`. A server's model has its own.",
    ),
    Option(
        "endpoint.port",
        0,
        "Port on 127.0.0.1 where suggestions are given over HTTP too, to editors and plugins that ask a completions "
        "endpoint; 0: none.",
        minimum=0,
        maximum=65535,
    ),
    Option("answerLanguage", "", "Language of explanations and chat, such as `pl`. Empty: the question's."),
    Option(
        "logLevel",
        "info",
        "How much is written to stderr and to the editor's log.",
        choices=("error", "warning", "info", "debug"),
    ),
)

_BY_NAME = {option.name: option for option in OPTIONS}


@dataclass(frozen=True)
class CompletionSettings:
    """What the completion rooms read; see `OPTIONS` for the meaning."""

    enabled: bool
    debounce_ms: int
    max_tokens: int
    multiline: Literal["auto", "always", "never"]
    min_confidence: float  # 0 to 1
    disabled_languages: tuple[str, ...]
    exclude_globs: tuple[str, ...]


@dataclass(frozen=True)
class RemoteSettings:
    """Which server runs the model; see `OPTIONS` for the meaning. Without `url` none does."""

    url: str
    kind: str
    model: str
    family: str
    allows_non_local: bool
    key_file: str
    patience_s: float


@dataclass(frozen=True)
class Settings:
    """All settings at one moment, frozen; replaced as a whole when the editor sends new ones."""

    model: str
    chat_model: str
    draft_model: str
    completion: CompletionSettings
    context_enabled: bool
    context_budget_tokens: int
    threads: int
    context_size: int
    adapters: tuple[str, ...]
    remote: RemoteSettings
    endpoint_port: int
    answer_language: str
    log_level: str


class Reading(NamedTuple):
    """Settings, and one sentence for each thing that was wrong with what the editor sent."""

    settings: Settings
    problems: tuple[str, ...]


def read(*sent: object) -> Reading:
    """Settings from what an editor sent, a later one over an earlier.

    Keys are nested or dotted, with or without the `kruk` section around them.
    """
    values: dict[str, Value] = {option.name: option.default for option in OPTIONS}
    problems: list[str] = []
    for part in sent:
        if part is None:
            continue
        if not isinstance(part, Mapping):
            problems.append(f"The settings must be an object, not {_kind(part)}; the defaults are used.")
            continue
        for name, value in flat(part):
            option = _BY_NAME.get(name)
            if option is None:
                problems.append(f"Unknown setting `{SECTION}.{name}`. {nearest(name, _BY_NAME)}".rstrip())
            elif (wrong := _problem(option, value)) is not None:
                default = _shown(option.default)
                problems.append(f"`{SECTION}.{name}` {wrong}; the default {default} is used.")
            elif value is not None:
                values[name] = tuple(value) if isinstance(value, list) else value
    return Reading(_settings(values), tuple(dict.fromkeys(problems)))


def flat(sent: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield (dotted name, value) for each setting in what was sent, with or without the section around it."""
    section = sent.get(SECTION)
    yield from _flat(section if isinstance(section, Mapping) else sent)


def _flat(tree: object, above: str = "") -> Iterator[tuple[str, Any]]:
    """Yield (dotted name, value) for every leaf; `{"completion": {"enabled": x}}` and `completion.enabled` alike."""
    if not isinstance(tree, Mapping):
        yield above, tree
        return
    for key, value in tree.items():
        name = f"{above}.{key}" if above else str(key).removeprefix(f"{SECTION}.")
        if isinstance(value, Mapping) and name not in _BY_NAME:
            yield from _flat(value, name)
        else:
            yield name, value


def _problem(option: Option, value: object) -> str | None:
    """Say what is wrong with the value of a setting, or None. `null` means the default."""
    if value is None:
        return None
    wanted = {bool: "true or false", int: "a whole number", str: "a text", tuple: "a list of texts"}
    kind = type(option.default)
    fits = {
        bool: isinstance(value, bool),
        int: isinstance(value, int) and not isinstance(value, bool),
        str: isinstance(value, str),
        tuple: isinstance(value, list) and all(isinstance(item, str) for item in value),
    }[kind]
    if not fits:
        return f"must be {wanted[kind]}, not {_shown(value)}"
    if option.choices and value not in option.choices:
        return f"must be one of {', '.join(option.choices)}, not {_shown(value)}"
    if isinstance(value, int) and not isinstance(value, bool):
        if option.minimum is not None and value < option.minimum:
            return f"must be at least {option.minimum}, not {value}"
        if option.maximum is not None and value > option.maximum:
            return f"must be at most {option.maximum}, not {value}"
    return None


def _settings(values: Mapping[str, Any]) -> Settings:
    return Settings(
        model=values["model"],
        chat_model=values["chatModel"],
        draft_model=values["draftModel"],
        completion=CompletionSettings(
            enabled=values["completion.enabled"],
            debounce_ms=values["completion.debounceMs"],
            max_tokens=values["completion.maxTokens"],
            multiline=values["completion.multiline"],
            min_confidence=values["completion.minConfidence"] / 100,
            disabled_languages=values["completion.disabledLanguages"],
            exclude_globs=values["completion.excludeGlobs"],
        ),
        context_enabled=values["context.enabled"],
        context_budget_tokens=values["context.budgetTokens"],
        threads=values["threads"],
        context_size=values["contextSize"],
        adapters=values["adapters"],
        remote=RemoteSettings(
            url=values["remote.url"].strip(),
            kind=values["remote.kind"],
            model=values["remote.model"],
            family=values["remote.family"],
            allows_non_local=values["remote.allowNonLocal"],
            key_file=values["remote.keyFile"],
            patience_s=values["remote.patience"],
        ),
        endpoint_port=values["endpoint.port"],
        answer_language=values["answerLanguage"],
        log_level=values["logLevel"],
    )


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, tuple):
        return "list" if value else "empty list"
    text = repr(value)
    return text if len(text) <= 40 else text[:37] + "…"


def _kind(value: object) -> str:
    return {list: "a list", str: "a text", bool: "true or false", int: "a number"}.get(type(value), "this")
