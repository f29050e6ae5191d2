"""Fetch source packages to cut holes into: the packages and versions of sources.json, below one folder a language.

usage: python benchmarks/sources.py [DIR] [--languages python,go]

DIR (default: `kruk-sources` in the user's cache folder) then holds LANGUAGE/PACKAGE/…, for `kruk eval DIR/python` or
`fill_in.py --tree DIR/python`. Packages come from PyPI, npm and Debian through `pip`, `npm` and `apt-get`, which have
to be there. Debian's need a Debian system: its own list of places is used, and its release decides the version.
Nothing of a package is run but what pip does to learn a source package's name. What is there is not fetched again.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import platformdirs

APT = Path("/etc/apt")
BY = {"pypi": "pip", "npm": "npm", "deb": "apt-get", "deb-src": "apt-get"}
BUILT = {"pypi": (), "npm": ("build", "dist"), "deb": (), "deb-src": (".pc",)}
"""Folders made from the sources, or before they were patched, which would give away what is in them."""


@dataclass(frozen=True)
class Source:
    """A row of sources.json. `origin` is `pypi`, `npm`, `deb` (a package that installs sources) or `deb-src`.

    `role`: `develop` for packages that were looked into while Kruk was made, `report` for those that were not.
    """

    language: str
    name: str
    origin: str
    version: str
    licence: str
    role: str = "develop"

    @property
    def folder(self) -> str:
        """The name of its folder."""
        return self.name.replace("/", "-").lstrip("@")


def main() -> int:
    """Fetch what is missing; the exit code is 1 when something could not be had."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    default = Path(platformdirs.user_cache_dir("kruk-sources", appauthor=False))
    parser.add_argument("folder", metavar="DIR", type=Path, nargs="?", default=default, help="default: %(default)s")
    parser.add_argument("--languages", metavar="A,B", default="", help="only these")
    arguments = parser.parse_args()
    wanted = {name for name in arguments.languages.split(",") if name}
    code = 0
    for source in sources():
        target = arguments.folder.absolute() / source.language / source.folder
        if (wanted and source.language not in wanted) or target.exists():
            continue
        print(f"{source.name} {source.version}", file=sys.stderr, flush=True)
        try:
            fetch(source, target)
        except (OSError, subprocess.SubprocessError, tarfile.TarError) as error:
            told = getattr(error, "stderr", None) or str(error)
            print(f"  is left out; `{BY[source.origin]}` failed: {told.strip()[-400:]}", file=sys.stderr)
            code = 1
    print(arguments.folder.absolute())
    return code


def sources() -> list[Source]:
    """The rows of sources.json."""
    rows = json.loads(Path(__file__).with_name("sources.json").read_text(encoding="utf-8"))
    return [Source(origin=row.pop("from"), **row) for row in rows]


def fetch(source: Source, target: Path) -> None:
    """Put a package's files into a new folder. Raises OSError, SubprocessError or TarError, and leaves none then."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="fetch-", dir=target.parent) as name:
        folder = Path(name)
        _FETCH[source.origin](source, folder)
        unpacked = folder / "unpacked"
        if not unpacked.exists():
            unpack(next(path for path in folder.iterdir() if path.suffix in (".gz", ".tgz")), unpacked)
        for name in BUILT[source.origin]:
            shutil.rmtree(unpacked / name, ignore_errors=True)
        unpacked.rename(target)


def unpack(archive: Path, target: Path) -> None:
    """Unpack a tar file, without the folder that all of it is in. Raises TarError for paths that lead outside."""
    with tarfile.open(archive) as tar:
        tar.extractall(target, filter="data")
    inside = list(target.iterdir())
    if len(inside) == 1 and inside[0].is_dir():
        moved = target.with_name("moved")
        inside[0].rename(moved)
        target.rmdir()
        moved.rename(target)


def deb_src(text: str) -> str:
    """A list of apt's places, in either of its two forms, with sources in the place of binaries."""
    return re.sub(r"^Types:.*$", "Types: deb-src", re.sub(r"^deb\b", "deb-src", text, flags=re.M), flags=re.M)


def _from_pypi(source: Source, folder: Path) -> None:
    wanted = f"{source.name}=={source.version}"
    _run([sys.executable, "-m", "pip", "download", "--no-deps", "--no-binary", source.name, wanted], folder)


def _from_npm(source: Source, folder: Path) -> None:
    _run(["npm", "pack", "--ignore-scripts", f"{source.name}@{source.version}"], folder)


def _from_deb(source: Source, folder: Path) -> None:
    _run(["apt-get", "download", source.name], folder)
    _seen(source, next(folder.glob("*.deb")))
    _run(["dpkg-deb", "--extract", next(folder.glob("*.deb")).name, "unpacked"], folder)


def _from_deb_src(source: Source, folder: Path) -> None:
    # Few systems have lists of source packages: they are fetched aside, which needs no rights.
    places, lists = folder / "places", folder / "lists"
    places.mkdir()
    (lists / "partial").mkdir(parents=True)
    for path in [APT / "sources.list", *(APT / "sources.list.d").glob("*")]:
        if path.is_file() and path.suffix in (".list", ".sources"):
            (places / path.name).write_text(deb_src(path.read_text(encoding="utf-8")), encoding="utf-8")
    options = {"Etc::sourceparts": places, "Etc::sourcelist": "/dev/null", "State::lists": lists}
    apt = ["apt-get", *(f"-oDir::{name}={value}" for name, value in options.items())]
    _run([*apt, "update"], folder)
    _run([*apt, "--only-source", "--download-only", "source", source.name], folder)
    description = next(folder.glob("*.dsc"))
    _seen(source, description)
    _run(["dpkg-source", "--no-check", "--extract", description.name, "unpacked"], folder)


def _seen(source: Source, file: Path) -> None:
    """Say when Debian's release has another version, from NAME_VERSION_… as its files are called."""
    version = file.stem.split("_")[1]
    if version != source.version:
        print(f"  is {version}", file=sys.stderr)


def _run(command: list[str], folder: Path) -> None:
    program = shutil.which(command[0])
    if program is None:
        raise FileNotFoundError(f"there is no `{command[0]}`")
    subprocess.run([program, *command[1:]], cwd=folder, check=True, capture_output=True, text=True, timeout=600)


_FETCH: dict[str, Callable[[Source, Path], None]] = {
    "pypi": _from_pypi,
    "npm": _from_npm,
    "deb": _from_deb,
    "deb-src": _from_deb_src,
}


if __name__ == "__main__":
    sys.exit(main())
