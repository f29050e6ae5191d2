"""A file with a line for each answer, so that a run which was stopped can go on. It holds code."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from lsp_server import __version__
from lsp_server.errors import KrukError
from lsp_server.evaluation.holes import Hole, digest
from lsp_server.evaluation.run import Case, Configuration, Measured

_BEGIN = b'{"run":'


class _Line(msgspec.Struct):
    """One answer. `run` is the same for the same holes, asked alike by the same version."""

    run: str
    options: dict[str, Any]
    memory_mib: float
    case: Case


class Journal:
    """A file that is only read and added to; answers of other runs in it stay as they are."""

    def __init__(self, path: Path, holes: Sequence[Hole], rest_s: float) -> None:
        """Open the file, or make one that only the user may read.

        Raises KrukError when it cannot be opened, or is something else.
        """
        self._path, self._run = path, digest(repr((__version__, rest_s, holes))).hex()
        self._lines: list[_Line] = []
        try:
            self._file = os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o600), "r+b")
            self._read()
        except OSError as error:
            raise KrukError(f"`{path}` cannot be used: {error.strerror}", "Choose another place") from error

    def take_up(self, configurations: Sequence[Configuration], measured: Measured) -> int:
        """Put what is there already into `measured`; returns how many answers that is."""
        for it in configurations:
            mine = [line for line in self._lines if (line.run, line.options) == (self._run, it.options)]
            measured.cases[it.name] = [line.case for line in mine]
            if mine:
                measured.memory_mib[it.name] = max(line.memory_mib for line in mine)
        return sum(map(len, measured.cases.values()))

    def add(self, configuration: Configuration, case: Case, memory_mib: float) -> None:
        """Write an answer. Raises KrukError."""
        line = _Line(self._run, configuration.options, memory_mib, case)
        try:
            self._file.write(msgspec.json.encode(line) + b"\n")
            self._file.flush()
        except OSError as error:
            raise KrukError(f"`{self._path}` cannot be written: {error.strerror}", "Choose another place") from error

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _read(self) -> None:
        """Read all lines, and cut off a last one that was not written to its end."""
        whole = 0
        for text in self._file:
            if not text.endswith(b"\n") and _BEGIN.startswith(text[: len(_BEGIN)]):
                break
            try:
                self._lines.append(msgspec.json.decode(text, type=_Line))
            except msgspec.DecodeError as error:
                self.close()
                raise KrukError(f"`{self._path}` is no journal of `kruk eval`", "Choose another file") from error
            whole += len(text)
        self._file.seek(whole)
        self._file.truncate()
