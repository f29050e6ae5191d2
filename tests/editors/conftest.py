"""Real editors for the tests in this folder.

A test names the editor it needs as a fixture (`nvim`, `code_server`). `REQUIREMENTS` says how each is found;
where one is missing, its tests are deselected and the header of the run says what to set. A file may hold
tests for another editor by adding one entry here.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from neovim_driver import Editor, Start

from tests.editors.workbench import ROOT, package


class Found(NamedTuple):
    """What a finder came back with: the parts of the editor, or the words that say what is missing."""

    parts: Mapping[str, Path]
    missing: str = ""


def find_nvim() -> Found:
    """Neovim 0.12 or newer, from KRUK_NVIM or from PATH."""
    path = _neovim(os.environ.get("KRUK_NVIM") or shutil.which("nvim"), ((0, 12), (9, 0)))
    return Found({"nvim": path}) if path else Found({}, "Neovim tests not run: no Neovim 0.12 (set KRUK_NVIM)")


def find_old_nvim() -> Found:
    """Neovim 0.10 or 0.11, from KRUK_OLD_NVIM."""
    path = _neovim(os.environ.get("KRUK_OLD_NVIM"), ((0, 10), (0, 12)))
    missing = "tests of Neovim before 0.12 not run: no Neovim 0.10 or 0.11 (set KRUK_OLD_NVIM)"
    return Found({"nvim": path}) if path else Found({}, missing)


def _neovim(path: str | None, versions: tuple[tuple[int, int], tuple[int, int]]) -> Path | None:
    """The path, when it is a Neovim from the first version on and below the second."""
    if not path or not Path(path).is_file():
        return None
    out = subprocess.run([path, "--version"], capture_output=True, text=True, timeout=30, check=False).stdout
    version = re.match(r"NVIM v(\d+)\.(\d+)", out)
    return Path(path) if version and versions[0] <= (int(version[1]), int(version[2])) < versions[1] else None


def find_code_server() -> Found:
    """VS Code's workbench as code-server, a Chromium to show it and playwright-core to drive that."""
    return _in_a_browser("VS Code", "code_server", "code-server", "KRUK_CODE_SERVER")


def find_jupyter() -> Found:
    """JupyterLab with jupyterlab-lsp in its environment, and a browser as for VS Code."""
    found = _in_a_browser("JupyterLab", "jupyter", "jupyter-lab", "KRUK_JUPYTER")
    if not found.missing and not list(found.parts["jupyter"].parent.parent.glob("share/jupyter/**/jupyterlab-lsp")):
        return Found({}, "JupyterLab tests not run: no jupyterlab-lsp beside it (set KRUK_JUPYTER)")
    return found


def _in_a_browser(title: str, name: str, program: str, variable: str) -> Found:
    server = os.environ.get(variable) or shutil.which(program)
    chromium = os.environ.get("KRUK_CHROMIUM", "/usr/bin/chromium")
    modules = [os.environ.get("KRUK_NODE_MODULES"), str(ROOT / "editors" / "vscode" / "node_modules")]
    playwright = next((Path(m) for m in modules if m and (Path(m) / "playwright-core").is_dir()), None)
    missing = []
    if not server or not Path(server).exists():
        missing.append(f"no {program} (set {variable})")
    if not Path(chromium).is_file():
        missing.append("no Chromium (set KRUK_CHROMIUM)")
    if playwright is None:
        missing.append("no playwright-core (set KRUK_NODE_MODULES)")
    if missing or not server or playwright is None:
        return Found({}, f"{title} tests not run: " + ", ".join(missing))
    return Found({name: Path(server), "chromium": Path(chromium), "node_modules": playwright})


def find_emacs() -> Found:
    """Emacs 29 or newer, which brings Eglot, with its emacsclient, and tmux to show it."""
    path = os.environ.get("KRUK_EMACS") or shutil.which("emacs")
    if path and shutil.which("tmux"):
        out = subprocess.run([path, "--version"], capture_output=True, text=True, timeout=30, check=False).stdout
        version = re.match(r"GNU Emacs (\d+)", out)
        if version and int(version[1]) >= 29:
            return Found({"emacs": Path(path)})
    return Found({}, "Emacs tests not run: no Emacs 29 (set KRUK_EMACS), or no tmux")


def find_lsp_mode() -> Found:
    """A folder with lsp-mode and the packages that it needs, each in its own, as Debian has them."""
    folder = Path(os.environ.get("KRUK_ELPA", "/usr/share/emacs/site-lisp/elpa-src"))
    missing = "lsp-mode tests not run: no lsp-mode (set KRUK_ELPA)"
    return Found({"lsp_mode": folder}) if list(folder.glob("lsp-mode-*")) else Found({}, missing)


def find_new_lsp_mode() -> Found:
    """The same with lsp-mode 10 or newer, which has inline completion."""
    folder = Path(os.environ.get("KRUK_NEW_ELPA") or os.devnull)
    versions = [int(found.name.split("-")[2].split(".")[0]) for found in folder.glob("lsp-mode-[0-9]*")]
    missing = "tests of lsp-mode 10 not run: no lsp-mode 10 (set KRUK_NEW_ELPA)"
    return Found({"lsp_mode": folder}) if versions and max(versions) >= 10 else Found({}, missing)


def find_helix(first: tuple[int, int] = (25, 1)) -> Found:
    """Helix from a version on, 25.01 or newer, and tmux to show it."""
    path = os.environ.get("KRUK_HELIX") or shutil.which("hx") or shutil.which("helix")
    if path and shutil.which("tmux"):
        out = subprocess.run([path, "--version"], capture_output=True, text=True, timeout=30, check=False).stdout
        version = re.match(r"helix (\d+)\.(\d+)", out)
        if version and (int(version[1]), int(version[2])) >= first:
            return Found({"helix": Path(path)})
    return Found({}, f"Helix tests not run: no Helix {first[0]}.{first[1]:02} (set KRUK_HELIX), or no tmux")


def find_new_helix() -> Found:
    """The same, of a version that shows documents."""
    return find_helix((25, 7))


def find_tmux() -> Found:
    """tmux, and the `kruk` of this Python."""
    tmux, kruk = shutil.which("tmux"), Path(sys.executable).with_name("kruk")
    if tmux and kruk.exists():
        return Found({"tmux": Path(tmux), "kruk": kruk})
    return Found({}, "the terminal's story is not told: no tmux, or no kruk beside this Python")


def find_vim() -> Found:
    """Vim 8.2 or newer, with ALE among its packages, and tmux to show it."""
    path = os.environ.get("KRUK_VIM") or shutil.which("vim")
    if path and shutil.which("tmux"):
        look = "verbose echo globpath(&pp, 'pack/*/*/ale')"
        command = [path, "-es", "-u", "NONE", "-c", look, "-c", "q"]
        out = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
        if (out.stdout + out.stderr).strip():
            return Found({"vim": Path(path)})
    return Found({}, "Vim tests not run: no Vim with ALE (set KRUK_VIM), or no tmux")


REQUIREMENTS: dict[str, Callable[[], Found]] = {
    "nvim": lru_cache(find_nvim),
    "old_nvim": lru_cache(find_old_nvim),
    "code_server": lru_cache(find_code_server),
    "jupyter": lru_cache(find_jupyter),
    "emacs": lru_cache(find_emacs),
    "helix": lru_cache(find_helix),
    "new_helix": lru_cache(find_new_helix),
    "lsp_mode": lru_cache(find_lsp_mode),
    "new_lsp_mode": lru_cache(find_new_lsp_mode),
    "tmux": lru_cache(find_tmux),
    "vim": lru_cache(find_vim),
}

_missing: list[str] = []


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    left: list[pytest.Item] = []
    for item in items:
        wanted = [name for name in REQUIREMENTS if name in getattr(item, "fixturenames", ())]
        reasons = [found.missing for found in (REQUIREMENTS[name]() for name in wanted) if found.missing]
        _missing.extend(reason for reason in reasons if reason not in _missing)
        if reasons:
            left.append(item)
    if left:
        config.hook.pytest_deselected(items=left)
        items[:] = [item for item in items if item not in left]


def pytest_report_collectionfinish() -> list[str]:
    # Not pytest_report_header: when the run starts further up, this file is loaded after that line.
    return _missing


@pytest.fixture(scope="session")
def nvim() -> Path:
    """The path of a Neovim that has inline completion."""
    return REQUIREMENTS["nvim"]().parts["nvim"]


@pytest.fixture(scope="session")
def emacs() -> Path:
    """The path of an Emacs that brings Eglot."""
    return REQUIREMENTS["emacs"]().parts["emacs"]


@pytest.fixture(scope="session")
def lsp_mode() -> Path:
    """The folder of lsp-mode and what it needs."""
    return REQUIREMENTS["lsp_mode"]().parts["lsp_mode"]


@pytest.fixture(scope="session")
def new_lsp_mode() -> Path:
    """The same of an lsp-mode that has inline completion."""
    return REQUIREMENTS["new_lsp_mode"]().parts["lsp_mode"]


@pytest.fixture(scope="session")
def helix() -> Path:
    """The path of a Helix."""
    return REQUIREMENTS["helix"]().parts["helix"]


@pytest.fixture(scope="session")
def new_helix() -> Path:
    """The same, where it shows documents."""
    return REQUIREMENTS["new_helix"]().parts["helix"]


@pytest.fixture(scope="session")
def tmux() -> Mapping[str, Path]:
    """The paths `tmux` and `kruk`."""
    return REQUIREMENTS["tmux"]().parts


@pytest.fixture(scope="session")
def vim() -> Path:
    """The path of a Vim that has ALE."""
    return REQUIREMENTS["vim"]().parts["vim"]


@pytest.fixture(scope="session")
def old_nvim() -> Path:
    """The path of a Neovim that has none."""
    return REQUIREMENTS["old_nvim"]().parts["nvim"]


@pytest.fixture(scope="session")
def code_server() -> Mapping[str, Any]:
    """The paths `code_server`, `chromium` and `node_modules`."""
    return REQUIREMENTS["code_server"]().parts


@pytest.fixture(scope="session")
def jupyter() -> Mapping[str, Any]:
    """The paths `jupyter`, `chromium` and `node_modules`."""
    return REQUIREMENTS["jupyter"]().parts


@pytest.fixture(scope="session")
def vsix(code_server: Mapping[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The packaged extension."""
    return package(code_server, tmp_path_factory.mktemp("extension"))


@pytest.fixture
def start(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Start]:
    """Start a Neovim of which nothing is left afterwards; where the test fails, its screen is printed."""
    home = tmp_path / "home"
    for name in ("KRUK_HOME", "XDG_STATE_HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME"):
        monkeypatch.setenv(name, str(home / name.lower()))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")])))
    for name in ("KRUK_TEST_PLUGIN", "KRUK_TEST_CONFIG"):
        monkeypatch.setenv(name, "")
    editors: list[Editor] = []

    def begin(*args: Any, **kwargs: Any) -> Editor:
        editors.append(Editor(*args, **kwargs))
        return editors[-1]

    n_failed = request.session.testsfailed
    yield begin
    for editor in editors:
        if request.session.testsfailed > n_failed:
            print(editor.screen(), editor.messages(), sep="\n")
        editor.close()


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    (folder / ".git").mkdir(parents=True)
    return folder
