"""The one thread that owns the model.

Work comes as jobs: generators over the model that yield wherever another job may cut in. The most urgent
job runs; a more urgent one that arrives aborts the evaluation that is under way, which keeps what it has
finished, and the interrupted job goes on afterwards. Loading a model is the first thing the thread does
for it; jobs that arrive meanwhile wait. A model whose server is lost is loaded again when somebody asks. What has
the urgency of chat may have a model of its own, loaded when it is first needed; the two never compute at once.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator
from concurrent.futures import Future
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any, Generic, Literal, TypeAlias, TypeVar

from lsp_server.errors import KrukError, ModelError, ModelLoadError, ModelNotFound, ServerError
from lsp_server.model.base import Aborted, Model, Tell

T = TypeVar("T")
Steps: TypeAlias = Generator[None, None, T]
Loader: TypeAlias = Callable[[Tell, Callable[[], bool]], Model]


class Urgency(IntEnum):
    """What goes first. A lower number cuts in on a higher one."""

    COMPLETION = 0
    PREFETCH = 1  # what may be asked next: a line or two, and a chat would keep it from ever being ready
    CHAT = 2
    BRANCH = 3  # what may be typed instead
    WARM = 4  # what makes the next request cheaper or better


SOMEBODY_WAITS = (Urgency.COMPLETION, Urgency.CHAT)

State: TypeAlias = Literal["loading", "ready", "busy", "off", "error"]


@dataclass(frozen=True)
class Status:
    """What the model is doing. `percent` only while it loads; `missing_model` has to be pulled first."""

    state: State
    message: str = ""
    percent: int | None = None
    missing_model: str = ""


@dataclass(order=True)
class _Job(Generic[T]):
    urgency: Urgency
    number: int  # first come, first served
    start: Callable[[Model], Steps[T]] = field(compare=False)
    future: Future[T] = field(compare=False, default_factory=Future)
    steps: Steps[T] | None = field(compare=False, default=None)
    model: Model | None = field(compare=False, default=None)  # that the steps are on


class Worker:
    """Runs jobs on the model. `on_status` is called from the worker's thread."""

    def __init__(self, on_status: Callable[[Status], None]) -> None:
        self._on_status = on_status
        self._wake = threading.Condition()
        self._jobs: list[_Job[Any]] = []
        self._current: _Job[Any] | None = None
        self._n_jobs = 0
        self._loader: Loader | None = None
        self._newest: Loader | None = None  # that was given: the one to load again by
        self._model: Model | None = None
        self._chat_loader: Loader | None = None
        self._chat: Model | None = None
        self._old_chat: Model | None = None  # to be freed by the thread
        self._used: Model | None = None  # by the current job
        self._failure: KrukError | None = ModelError("No model was asked for")
        self._is_closing = False
        self.status = Status("off", "No model")
        self._thread = threading.Thread(target=self._run, name="model", daemon=True)
        self._thread.start()

    # -- for other threads --------------------------------------------------------------------------------

    @property
    def model(self) -> Model | None:
        """The loaded model, for its `info`; its other methods belong to the worker's thread."""
        return self._model

    @property
    def chat_model(self) -> Model | None:
        """The model that answers chats and actions; None as long as it is not loaded."""
        return self._chat if self._chat_loader else self._model

    @property
    def is_at_work(self) -> bool:
        """Whether the model computes or is being loaded: for whom or what does not matter."""
        return self._current is not None or self.status.state == "loading"

    def load(self, loader: Loader) -> None:
        """Load a model, in place of the one that is there. Jobs wait for it."""
        with self._wake:
            self._loader = self._newest = loader
            self._failure = None
            self._tell(Status("loading", "Loading the model", 0))
            self._interrupt(Urgency.COMPLETION)
            self._wake.notify()

    def load_chat(self, loader: Loader | None) -> None:
        """Let chats and actions have a model of their own, or none any more. It is loaded when one is asked for."""
        with self._wake:
            self._chat_loader = loader
            self._old_chat, self._chat = self._chat or self._old_chat, None
            self._interrupt(Urgency.CHAT)
            self._wake.notify()

    def submit(self, urgency: Urgency, start: Callable[[Model], Steps[T]]) -> Future[T]:
        """Run the generator that `start` makes; cancelling the future stops it, keeping evaluated tokens."""
        with self._wake:
            self._n_jobs += 1
            job = _Job(urgency, self._n_jobs, start)
            self._jobs.append(job)
            if isinstance(self._failure, ServerError) and urgency in SOMEBODY_WAITS:
                self._loader, self._failure = self._newest, None
            if self._current and urgency < self._current.urgency:
                self._interrupt(self._current.urgency)
            self._wake.notify()
        job.future.add_done_callback(lambda _: self._on_done(job))
        return job.future

    def set_urgency(self, future: Future[Any], urgency: Urgency) -> None:
        """Let a job that waits or runs be more urgent, or less."""
        with self._wake:
            for job in self._jobs:
                if job.future is future:
                    job.urgency = urgency
            if self._current and any(job < self._current for job in self._jobs):
                self._interrupt(self._current.urgency)
            self._wake.notify()

    def close(self, timeout_s: float = 3.0) -> None:
        """Stop whatever runs and free the model."""
        with self._wake:
            self._is_closing = True
            self._interrupt(Urgency.COMPLETION)
            self._wake.notify()
        self._thread.join(timeout_s)

    # -- the thread ---------------------------------------------------------------------------------------

    def _run(self) -> None:
        while True:
            with self._wake:
                while not (self._is_closing or self._loader or self._old_chat or self._runnable()):
                    self._settle()
                    self._wake.wait()
                if self._is_closing:
                    break
                loader, self._loader = self._loader, None
                old, self._old_chat = self._old_chat, None
                job = None if loader or old else self._pick()
            if old:
                self._free(old)
            if loader:
                self._load(loader)
            elif job:
                self._step(job)
        for job in list(self._jobs):
            job.future.cancel()
        for model in filter(None, (self._model, self._chat, self._old_chat)):
            model.close()
        self._model = self._chat = self._old_chat = None

    def _runnable(self) -> bool:
        return bool(self._jobs) and (self._model is not None or self._failure is not None)

    def _pick(self) -> _Job[Any]:
        """Choose the most urgent job and let it run. Called with the lock held."""
        job = self._current = min(self._jobs)
        is_chat = job.urgency == Urgency.CHAT and self._chat_loader is not None
        self._used = self._chat if is_chat else self._model
        if self._used:
            self._used.allow()
            if not any(it.urgency in SOMEBODY_WAITS for it in self._jobs):
                self._settle()  # nobody waits
            elif self.status.state == "ready":
                self._tell(Status("busy", "Working"))
        return job

    def _step(self, job: _Job[Any]) -> None:
        """Run one job until it yields, ends or fails."""
        try:
            if job.future.cancelled():
                self._drop(job)
                return
            if self._used is None and job.urgency == Urgency.CHAT and (loader := self._chat_loader):
                self._load_chat(loader)
                return  # something more urgent may have come meanwhile
            if self._used is None:
                raise self._failure or ModelLoadError("The model is not loaded")
            if job.steps is None or job.model is not self._used:
                job.model, job.steps = self._used, job.start(self._used)
            next(job.steps)
        except StopIteration as end:
            if self._finish(job):
                job.future.set_result(end.value)
        except Exception as error:  # the job's own failure belongs to whoever waits for it
            if isinstance(error, ServerError):
                self._drop_model()
                self._fail(error)
            if self._finish(job):
                job.future.set_exception(error)
        finally:
            with self._wake:
                self._current = self._used = None

    def _finish(self, job: _Job[Any]) -> bool:
        """Take a job off the list; says whether anybody still waits for it."""
        self._drop(job)
        return job.future.set_running_or_notify_cancel()

    def _drop(self, job: _Job[Any]) -> None:
        with self._wake:
            if job in self._jobs:
                self._jobs.remove(job)
        if job.steps:
            job.steps.close()

    def _free(self, model: Model) -> None:
        """Close a model; jobs that were begun on it begin again on the one in its place."""
        with self._wake:
            jobs = [job for job in self._jobs if job.model is model]
        for job in jobs:
            if job.steps:
                job.steps.close()
            job.steps = job.model = None
        model.close()

    def _load_chat(self, loader: Loader) -> None:
        """Load the model for chats. Raises KrukError; the next chat tries again."""
        self._tell(Status("loading", "Loading the model for chat", 0))
        model = None
        try:
            model = loader(
                lambda percent: self._tell(Status("loading", "Loading the model for chat", percent)),
                lambda: not self._is_closing and self._chat_loader is loader,
            )
        except Exception:
            if self._chat_loader is loader and not self._is_closing:  # else another one is wanted, or none
                raise
        finally:
            with self._wake:
                if model and self._chat_loader is loader:
                    self._chat = model
                self._tell(self._rest())
        if model and self._chat is not model:
            model.close()

    def _load(self, loader: Loader) -> None:
        self._drop_model()
        try:
            model = loader(
                lambda percent: self._tell(Status("loading", "Loading the model", percent)),
                lambda: not self._is_closing and self._loader is None,
            )
        except KrukError as error:
            self._fail(error)
        except Exception as error:
            self._fail(ModelLoadError(f"The model could not be loaded: {error!r}", "See the log for details."))
        else:
            with self._wake:
                self._model = model
                self._tell(self._rest())

    def _drop_model(self) -> None:
        if self._model:
            self._free(self._model)
            self._model = None

    def _fail(self, error: KrukError) -> None:
        with self._wake:
            if self._loader is None and not self._is_closing:
                self._failure = error
                missing = error.pullable if isinstance(error, ModelNotFound) else ""
                self._tell(Status("error", str(error), missing_model=missing))

    def _settle(self) -> None:
        if self.status.state == "busy" and self._model:
            self._tell(self._rest())

    def _rest(self) -> Status:
        """What to say while nobody waits."""
        if self._model:
            info = self._model.info
            return Status("ready", f"{info.name} is ready" + (f"; {info.drafts}" if info.drafts else ""))
        return Status("error", str(self._failure)) if self._failure else Status("off", "No model")

    def _interrupt(self, least: Urgency) -> None:
        """Abort the evaluation that runs, when it is no more urgent than `least`. Called with the lock held."""
        if self._current and self._used and self._current.urgency >= least:
            self._used.abort()

    def _on_done(self, job: _Job[Any]) -> None:
        """A cancelled job must not hold the thread a moment longer."""
        if not job.future.cancelled():
            return
        with self._wake:
            if self._current is job and self._used:
                self._used.abort()
            self._wake.notify()

    def _tell(self, status: Status) -> None:
        self.status = status
        self._on_status(status)


def persist(evaluate: Callable[[], T]) -> Steps[T]:
    """Evaluate to the end, through any number of interruptions; each one yields to the more urgent job."""
    while True:
        try:
            return evaluate()
        except Aborted:
            yield
