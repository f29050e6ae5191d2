"""Which models there are on this machine, and what a name or a path given by the user means.

It knows the models folder and reads file headers; it neither downloads nor loads anything.
"""

from __future__ import annotations

import dataclasses
import json
import os
import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from lsp_server import errors, paths
from lsp_server.errors import KrukError, ModelFileError, ModelNotFound
from lsp_server.model import gguf, stores
from lsp_server.model.adapters import Adapter, check
from lsp_server.model.catalogue import (
    AdaptedModel,
    Family,
    Fim,
    ModelFile,
    ModelSpec,
    load_catalogue,
    user_catalogue,
)
from lsp_server.model.gguf_header import GgufHeader
from lsp_server.model.partial import leftovers
from lsp_server.model.stores import Stored

_BASE = re.compile(r"(?<![a-z])(base|pt)(?![a-z])|pretrain", re.IGNORECASE)
_CHATML_END = "<|im_end|>"
_PATH_HINT = "Give the path of a .gguf file, or an id of `kruk models list`"


@dataclass(frozen=True)
class LocatedModel:
    """A model file on this machine whose header is sound.

    `family` is None when the file is of no known family; its `fim` is None when the vocabulary lacks the
    family's FIM tokens. `spec` and `file` are the rows of models.json, None for a file that is not in it.
    `reference` finds it again; `size_bytes` counts all files of a split model.
    """

    name: str
    reference: str
    path: Path
    size_bytes: int
    spec: ModelSpec | None
    file: ModelFile | None
    family: Family | None
    header: GgufHeader
    is_instruct: bool
    kind_reason: str
    """Why it is taken for an instruct or a base model, for `kruk doctor` and the log."""
    adapters: tuple[Adapter, ...] = ()
    """Those that its row in the user's models.json gives it; each is one for this model."""

    @property
    def fim(self) -> Fim | None:
        """How to ask it to fill in the middle; None when it cannot."""
        return self.family.fim if self.family else None


@dataclass(frozen=True)
class InstalledModel:
    """A file in the models folder; `spec` and `file` are None when models.json does not have it."""

    name: str
    path: Path
    size_bytes: int
    spec: ModelSpec | None
    file: ModelFile | None


def is_base(name: str) -> bool:
    """Whether a model's name, or that of its finetune, says that it was not taught to follow instructions."""
    return bool(_BASE.search(name))


def find(name: str) -> tuple[ModelSpec, ModelFile]:
    """The rows of models.json for "ID" or "ID:QUANTISATION", in any case.

    Raises ModelNotFound with the nearest names.
    """
    catalogue = load_catalogue()
    model_id, _, quantisation = name.strip().partition(":")
    spec = catalogue.model(model_id)
    if spec is None:
        near = errors.nearest(model_id, catalogue.ids)
        raise ModelNotFound(f"There is no model `{name}`", f"{near} All are in `kruk models list`".strip())
    if not quantisation:
        return spec, spec.files[0]
    for file in spec.files:
        if file.quantisation.lower() == quantisation.lower():
            return spec, file
    offered = ", ".join(f"`{spec.id}:{file.quantisation}`" for file in spec.files)
    raise ModelNotFound(f"`{spec.id}` is not offered as `{quantisation}`", f"There is {offered}")


def locate(name_or_path: str) -> LocatedModel:
    """Find a model given as an id, "ID:QUANTISATION", "STORE:NAME" or a path, and read its header.

    An id alone means whichever of its quantisations is here, the catalogue's first choice first; one that another
    program has downloaded is used where it is. An id may be one of a model with adapters.
    Raises ModelNotFound when there is no such model or it is not here, ModelFileError when the file is
    broken or holds no language model.
    """
    catalogue = load_catalogue()
    if row := catalogue.adapted_model(name_or_path):
        return _adapted(row)
    if catalogue.model(name_or_path.strip().partition(":")[0]) is None:
        if (found := stores.named(name_or_path)) is not None:
            return describe(_the_one(name_or_path, found))
        path = _existing_path(name_or_path)
        if path is not None:
            spec, file = _row_of(path)
            is_own = path.parent == paths.models_dir()
            reference = _name(spec, file) if is_own and spec and file else str(path)
            return _describe(path.stem, reference, path, spec, file)
    spec, wanted = find(name_or_path)
    candidates = (wanted,) if ":" in name_or_path else spec.files
    for file in candidates:
        path = paths.models_dir() / file.file
        if path.is_file():
            return _describe(_name(spec, file), _name(spec, file), path, spec, file)
    if elsewhere := in_a_store(spec, candidates):
        one, file = elsewhere
        return _describe(_name(spec, file), _name(spec, file), one.path, spec, file)
    name = _name(spec, wanted)
    raise ModelNotFound(f"`{name_or_path}` is not on this machine", f"Get it with `kruk models pull {name}`", name)


def in_a_store(spec: ModelSpec, files: Sequence[ModelFile]) -> tuple[Stored, ModelFile] | None:
    """Which of `files` another program has, by the hash that it keeps, or by name and size."""
    there = [one for one in stores.everything(model_folders()) if not one.problem and one.parts]
    for file in files:
        for one in there:
            if one.sha256 == file.sha256 if one.sha256 and file.sha256 else _row_of(one.path) == (spec, file):
                return one, file
    return None


def describe(one: Stored) -> LocatedModel:
    """Read the header of a model in a store. Raises ModelFileError, with what to do about a damaged file."""
    if one.problem:
        raise ModelFileError(f"`{one.name}` {one.problem}", one.hint)
    by_hash = {file.sha256: (spec, file) for spec in load_catalogue().models for file in spec.files if file.sha256}
    spec, file = by_hash.get(one.sha256) or _row_of(one.path)
    reference = str(one.path) if one.store.id == stores.USERS_OWN else one.name
    try:
        return _describe(one.name, reference, one.path, spec, file)
    except ModelFileError as error:
        raise ModelFileError(error.what.replace(f"`{one.path.name}`", f"`{one.name}`"), one.repair) from error


def installed() -> list[InstalledModel]:
    """What is in the models folder, by name. Headers are not read."""
    folder = paths.models_dir()
    if not folder.is_dir():
        return []
    models = []
    for path in sorted(folder.glob("*.gguf")):
        if path.is_file():
            spec, file = _row_of_name(path.name)
            name = _name(spec, file) if spec and file else path.stem
            models.append(InstalledModel(name, path, path.stat().st_size, spec, file))
    return models


def remove(name: str) -> int:
    """Delete a model and what is left of an unfinished download of it; return how many bytes that freed.

    name: an id, which means all of its quantisations that are here, "ID:QUANTISATION", or the name of a
    file in the models folder.
    Raises ModelNotFound when nothing of it is here; files elsewhere are never touched.
    """
    files = _removable(name)
    if not files:
        raise ModelNotFound(f"`{name}` is not on this machine", "What is here is in `kruk models list`")
    freed = 0
    for path in files:
        try:
            freed += path.stat().st_size
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        except OSError as error:
            hint = "Close the editors that use it, then try again"
            raise ModelFileError(f"`{path.name}` cannot be deleted: {error.strerror}", hint) from error
    chosen = default_choice()
    if chosen is not None and _is_gone(chosen):
        _save_settings(model=None)
    return freed


def default_choice() -> str | None:
    """What `kruk models use` chose: an id or a path; None when nothing was, or the file is damaged."""
    model = _load_settings().get("model")
    return model if isinstance(model, str) and model else None


def set_default(name_or_path: str) -> LocatedModel:
    """Make a model the user's choice. It must be here and sound: raises what `locate` raises."""
    located = locate(name_or_path)
    _save_settings(model=located.reference)
    return located


def model_folders() -> list[Path]:
    """The folders of models that the user has named with `kruk models scan --keep`."""
    folders = _load_settings().get("folders")
    return [Path(folder) for folder in folders if isinstance(folder, str)] if isinstance(folders, list) else []


def keep_folders(folders: Sequence[Path]) -> None:
    """Remember folders of models besides those that are remembered."""
    known = model_folders()
    _save_settings(folders=[str(folder) for folder in dict.fromkeys([*known, *folders])])


def _adapted(row: AdaptedModel) -> LocatedModel:
    located = locate(row.model)
    hint = f"Correct the row `{row.id}` of {user_catalogue()}"
    try:
        used = [Adapter(user_catalogue().parent / Path(it.path).expanduser(), it.scale) for it in row.adapters]
    except RuntimeError as error:  # no such user's home
        raise ModelNotFound(f"An adapter cannot be looked up: {error}", hint) from error
    for adapter in used:
        if not adapter.path.is_file():
            raise ModelNotFound(f"There is no adapter `{adapter.path}`", hint)
        check(adapter, located.header)
    return dataclasses.replace(located, name=row.id, reference=row.id, adapters=tuple(used))


def _existing_path(text: str) -> Path | None:
    """The file meant by `text`, or None when it does not look like a path at all."""
    folder = paths.models_dir()
    try:
        path = Path(text).expanduser()
        for candidate in (path, folder / path, folder / f"{text}.gguf"):
            if candidate.is_file():
                return candidate.absolute()
        what = "is a folder, not a model file" if path.is_dir() else "does not exist"
    except (OSError, RuntimeError, ValueError) as error:  # no permission, too long, no such user's home
        raise ModelNotFound(f"`{text}` cannot be looked up: {error}", _PATH_HINT) from error
    if path.suffix.lower() == ".gguf" or len(path.parts) > 1:
        raise ModelNotFound(f"`{text}` {what}", _PATH_HINT)
    return None


def _row_of(path: Path) -> tuple[ModelSpec | None, ModelFile | None]:
    """The rows for a file that has the name and the size of one in models.json."""
    spec, file = _row_of_name(path.name)
    if spec and file and file.size_bytes in (None, path.stat().st_size):
        return spec, file
    return None, None


def _row_of_name(name: str) -> tuple[ModelSpec | None, ModelFile | None]:
    for spec in load_catalogue().models:
        for file in spec.files:
            if file.file.lower() == name.lower():
                return spec, file
    return None, None


def _the_one(text: str, found: Sequence[Stored]) -> Stored:
    """The one model that a name stands for. Raises ModelNotFound."""
    if len(found) == 1:
        return found[0]
    if found:
        offered = ", ".join(f"`{one.name}`" for one in found[:5])
        raise ModelNotFound(f"`{text}` can be {len(found)} models", f"There is {offered}")
    store = text.strip().partition(":")[0].lower()
    known = [one.name for one in stores.everything() if one.store.id == store]
    hint = f"{errors.nearest(text, known)} All that is there is in `kruk models scan`".strip()
    raise ModelNotFound(f"There is no `{text}` on this machine", hint)


def _describe(name: str, reference: str, path: Path, spec: ModelSpec | None, file: ModelFile | None) -> LocatedModel:
    catalogue = load_catalogue()
    parts, missing = stores.parts_of(path)
    if missing:
        raise ModelFileError(f"`{path.name}` is a part of a model that lacks {missing}", "Download the others too")
    path = parts[0]
    header = gguf.read_header(path, catalogue.markers() | {_CHATML_END})
    for part in parts[1:]:
        header = header.joined(gguf.read_header(part))
    if header.role != "model":
        hint = "Choose another with `kruk models list` or `kruk models scan`"
        raise ModelFileError(f"`{path.name}` is a GGUF, but not a language model: {header.role}", hint)
    if spec is not None:
        family: Family | None = catalogue.family(spec.family)
        is_instruct, reason = spec.kind == "instruct", "models.json says so"
    else:
        basename = header.metadata.get("general.basename")
        family = catalogue.family_of(header.architecture, header.name, str(basename or ""), path.name, name)
        is_instruct, reason = _kind(header)
    if family and family.fim and not all(text in header.token_ids for text in family.fim.tokens):
        family = msgspec.structs.replace(family, fim=None)
    size_bytes = sum(part.stat().st_size for part in parts)
    return LocatedModel(name, reference, path, size_bytes, spec, file, family, header, is_instruct, reason)


def _kind(header: GgufHeader) -> tuple[bool, str]:
    """Whether a file that models.json does not have is an instruct model, and why.

    Its template says it, not its name: Gemma's do not say instruct. Qwen's base models have a template as well, and
    betray themselves by ending their text with another token than the template ends a turn with.
    """
    template = header.chat_template
    if not template:
        return False, "it has no chat template"
    finetune = str(header.metadata.get("general.finetune") or "")
    if is_base(finetune):
        return False, f"its finetune is `{finetune}`"
    turn_end = header.token_ids.get(_CHATML_END)
    text_ends = {header.metadata.get(f"tokenizer.ggml.{name}_token_id") for name in ("eos", "eot")} - {None}
    if _CHATML_END in template and turn_end is not None and text_ends and turn_end not in text_ends:
        return False, f"it has a chat template, but does not end its text with `{_CHATML_END}`"
    return True, "it has a chat template"


def _name(spec: ModelSpec, file: ModelFile) -> str:
    return spec.id if file == spec.files[0] else f"{spec.id}:{file.quantisation}"


def _removable(name: str) -> list[Path]:
    folder = paths.models_dir()
    catalogue = load_catalogue()
    model_id, _, quantisation = name.strip().partition(":")
    if catalogue.model(model_id) is not None:
        spec, wanted = find(name)
        names = [wanted.file] if quantisation else [file.file for file in spec.files]
    else:
        plain = Path(name).name  # never leaves the models folder
        names = [plain if plain.lower().endswith(".gguf") else f"{plain}.gguf"]
    targets = [folder / file for file in names]
    return [path for target in targets for path in (target, *leftovers(target)) if path.exists()]


def _is_gone(name_or_path: str) -> bool:
    try:
        locate(name_or_path)
    except ModelNotFound:
        return True
    except KrukError:  # still there, and broken
        return False
    return False


def _settings_path() -> Path:
    return paths.data_dir() / "settings.json"


def _load_settings() -> dict[str, object]:
    try:
        settings = json.loads(_settings_path().read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return settings if isinstance(settings, dict) else {}


def _save_settings(**changes: object) -> None:
    """Write what changes, None to take it away, keeping whatever else is in the file."""
    settings = {key: value for key, value in (_load_settings() | changes).items() if value is not None}
    path = _settings_path()
    draft = path.with_suffix(f".{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        draft.write_text(json.dumps(settings, indent=2) + "\n", "utf-8")
        draft.replace(path)
    except OSError as error:
        draft.unlink(missing_ok=True)
        raise KrukError(f"`{path}` cannot be written: {error.strerror}", "Check its permissions") from error
