"""Turns between the Kruk processes of one user, so that two models do not compute at the same time.

Two locks on files make it fair: who waits holds `next` while it tries to get `turn`, so that who has just given
`turn` back queues behind it. The system releases the locks of a process that dies. Where there can be no locks
(a read-only disk, an odd file system) everybody works at once.
"""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

QUANTUM_S = 0.2  # a turn may last so long while another process waits
PATIENCE_S = 1.0  # who has waited so long works without a turn: the other process may have been stopped
LOOK_S = 0.01  # between two looks whether somebody waits
POLL_S, LAZY_POLL_S = 0.001, 0.02  # between two tries to get a turn, for work that somebody waits for or not

log = logging.getLogger(__name__)


class Turns:
    """This process' part in it. Belongs to the model's thread."""

    def __init__(self, folder: Path | None) -> None:
        """Without a folder there are no turns, and everything may be done at once."""
        self._next: _Lock | None = None
        self._turn: _Lock | None = None
        self._since = 0.0  # when the turn began
        self._waits_since: float | None = None
        self._patience_s = PATIENCE_S
        if folder:
            try:
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
                self._next, self._turn = _Lock(folder / "next"), _Lock(folder / "turn")
                self.is_wanted()
            except OSError as error:
                self._do_without(error)

    def take(self, is_awaited: bool) -> bool:
        """Say whether this process may work now. Asked before each step, and again after `pause_s`.

        A turn goes to another process that waits for one: after a quantum, or at once from work that is not awaited.
        """
        if not self._next or not self._turn:
            return True
        try:
            if self._turn.is_held:
                if (is_awaited and time.monotonic() - self._since < QUANTUM_S) or not self.is_wanted():
                    return True
                self._turn.release()
            if self._try(self._next, self._turn, is_awaited):
                self._since, self._waits_since, self._patience_s = time.monotonic(), None, PATIENCE_S
                return True
        except OSError as error:
            self._do_without(error)
            return True
        if not is_awaited:
            self._waits_since = None
            return False
        if self._waits_since is None:
            self._waits_since = time.monotonic()
        if time.monotonic() - self._waits_since < self._patience_s:
            return False
        self._patience_s = 0.0  # until a turn comes again
        return True

    def give(self) -> None:
        """Give the turn back, or stop waiting for it: there is nothing to do."""
        self._waits_since = None
        if self._next and self._turn:
            self._turn.release()
            self._next.release()

    def is_wanted(self) -> bool:
        """Whether another process waits for work that somebody there waits for. Not asked while waiting oneself."""
        if not self._next:
            return False
        if self._next.try_take():
            self._next.release()
            return False
        return True

    @contextlib.contextmanager
    def lending(self, abort: Callable[[], None]) -> Iterator[None]:
        """While a step runs that nobody waits for, call `abort` when another process wants the turn."""
        if not self._turn or not self._turn.is_held:
            yield
            return
        is_over = threading.Event()

        def watch() -> None:
            with contextlib.suppress(OSError):
                while not is_over.wait(LOOK_S):
                    if self.is_wanted():
                        abort()
                        return

        watcher = threading.Thread(target=watch, name="turns", daemon=True)
        watcher.start()
        try:
            yield
        finally:
            is_over.set()
            watcher.join()

    @staticmethod
    def _try(next_: _Lock, turn: _Lock, is_awaited: bool) -> bool:
        if not next_.is_held and not next_.try_take():
            return False
        has_turn = turn.try_take()
        if has_turn or not is_awaited:  # what is not awaited never queues
            next_.release()
        return has_turn

    def _do_without(self, error: OSError) -> None:
        log.info("no turns between processes: %s", error)
        for lock in (self._next, self._turn):
            if lock:
                lock.close()
        self._next = self._turn = None


def pause_s(is_awaited: bool) -> float:
    """How long to wait before asking again."""
    return POLL_S if is_awaited else LAZY_POLL_S


class _Lock:
    """An advisory lock on a file, that belongs to this process until it is released or the process ends."""

    def __init__(self, path: Path) -> None:
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        self.is_held = False

    def try_take(self) -> bool:
        """Take it if it is free; says whether it is held now. Raises OSError where there can be no locks."""
        if sys.platform == "win32":
            import msvcrt

            os.lseek(self._fd, 0, os.SEEK_SET)
            try:
                msvcrt.locking(self._fd, msvcrt.LK_NBLCK, 1)
            except PermissionError:  # somebody else has it
                return False
        else:
            import fcntl

            try:
                fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
        self.is_held = True
        return True

    def release(self) -> None:
        """Let others have it."""
        if not self.is_held:
            return
        self.is_held = False
        with contextlib.suppress(OSError):
            if sys.platform == "win32":
                import msvcrt

                os.lseek(self._fd, 0, os.SEEK_SET)
                msvcrt.locking(self._fd, msvcrt.LK_UNLCK, 1)
            else:
                import fcntl

                fcntl.flock(self._fd, fcntl.LOCK_UN)

    def close(self) -> None:
        """Release it for good."""
        self.is_held = False
        os.close(self._fd)
