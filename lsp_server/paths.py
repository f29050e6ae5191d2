"""Where Kruk keeps its files. `KRUK_HOME` replaces all of the operating system's own folders."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs


def data_dir() -> Path:
    """Models and the chosen default: large, worth keeping."""
    home = os.environ.get("KRUK_HOME")
    return Path(home).expanduser() if home else Path(platformdirs.user_data_dir("kruk", appauthor=False))


def models_dir() -> Path:
    """One GGUF file per model and quantisation."""
    return data_dir() / "models"


def log_dir() -> Path:
    """Logs of the server, when a file is asked for."""
    home = os.environ.get("KRUK_HOME")
    return Path(home).expanduser() / "log" if home else Path(platformdirs.user_log_dir("kruk", appauthor=False))
