"""What has been measured so far, a line each in a file: a long benchmark can be stopped and taken up again."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any, Generic, TypeVar

import command
import msgspec

from lsp_server.errors import KrukError

T = TypeVar("T")


class Journal(Generic[T]):
    """Cases by a key each; without a `path` they are kept in memory only."""

    def __init__(self, path: Path | None, kind: type[T], minutes: float | None = None) -> None:
        """Read what is there. `minutes`: after which `is_late`. Raises KrukError when the file is something else."""
        self._path, self._until = path, time.monotonic() + minutes * 60 if minutes else None
        self.cases: dict[str, T] = {}
        try:
            lines = path.read_bytes().splitlines() if path and path.exists() else []
            for line in lines:
                entry = msgspec.json.decode(line)
                self.cases[entry["key"]] = msgspec.convert(entry["case"], kind)
        except (OSError, KeyError, TypeError, msgspec.MsgspecError) as error:
            raise KrukError(f"`{path}` is no journal of this benchmark: {error!r}", "Name another file") from error

    @property
    def is_late(self) -> bool:
        """Whether the time is over; said when it is."""
        is_late = self._until is not None and time.monotonic() > self._until
        if is_late:
            command.tell("the time is over; the same command goes on from here")
        return is_late

    def add(self, key: str, case: T) -> None:
        """Keep a case at once."""
        self.cases[key] = case
        if self._path:
            entry: dict[str, Any] = {"key": key, "case": msgspec.to_builtins(case)}
            with self._path.open("ab") as file:
                file.write(msgspec.json.encode(entry) + b"\n")
