"""The page's side of two warm processes: one answers without TensorFlow, one looks inside with it.

The web server must not load TensorFlow: Streamlit clears Keras' session after every script run,
which makes each prediction slow. Predictions of converted networks need none and come from a
process of a tenth of the size, which never waits behind TensorFlow; the other one starts when
something needs it. loky keeps one worker process, starts it without running the
page's script again, notices when it dies and ends it with the server.
"""

from __future__ import annotations

import importlib
import os
import threading
from collections import deque
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from dataclasses import replace
from typing import Any

from loky import ProcessPoolExecutor
from loky.backend import get_context
from loky.process_executor import ShutdownExecutorError

from tlcore.errors import WorkerDied
from tlcore.models.runtime import NotConverted, start_conversion
from tlcore.settings import Settings

TASKS = "tlcore.inference.tasks"  # imported in the worker only: it loads TensorFlow
ANSWERS = "tlcore.inference.answers"
ANSWERED = ("predict", "predict_batch", "compute_run_curves")  # tasks without TensorFlow, and
ANSWERED_MODULES = "tlcore.evaluation."  # those of these modules
AHEAD = 4  # results that may wait to be asked for; a page of maps is up to half a megabyte
Request = tuple[str, tuple[Any, ...]]  # task and arguments


class Worker:
    """Sends tasks to one process. Safe to share between threads; tasks run one at a time."""

    def __init__(self, settings: Settings, module: str = TASKS) -> None:
        self._settings, self._module = settings, module
        self._lock = threading.Lock()
        self._executor: ProcessPoolExecutor | None = None
        self._started: Future[int] | None = None
        self._ahead: deque[tuple[Request, Future[Any]]] = deque(maxlen=AHEAD)

    def warm_up(self) -> None:
        """Start the process, if there is none, without waiting for it."""
        self._running()

    @property
    def warm(self) -> bool:
        """Whether the process is up with TensorFlow loaded."""
        started = self._started
        return started is not None and started.done() and started.exception() is None

    @property
    def process_id(self) -> int:
        """The worker's process id; waits until it is up."""
        self._running()
        assert self._started is not None
        return self._started.result()

    def ask(self, task: str, *arguments: Any) -> Any:
        """Run a task in the worker and return its result.

        Args:
            task: a function of the worker's module, or "module:function" of another one. It gets
                the arguments, and ``settings`` by name.

        Raises:
            WorkerDied: the process ended twice during this task.
            TLCoreError: what the task raises.
        """
        request = (task, arguments)
        for _ in range(2):
            executor = self._running()
            try:
                return (self._take_prefetched(request) or self._submit(executor, request)).result()
            except (BrokenProcessPool, ShutdownExecutorError) as error:
                self._forget(executor)
                death = error
        raise WorkerDied(
            "The inference process ended twice during this request: it was killed or ran out of "
            "memory. It starts again with the next click. Try a smaller image size or another "
            "backbone."
        ) from death

    def prefetch(self, task: str, *arguments: Any) -> None:
        """Start a task that is likely to be asked for next, without waiting for its result."""
        executor, request = self._running(), (task, arguments)
        with self._lock, suppress(BrokenProcessPool, ShutdownExecutorError):
            if all(waiting != request for waiting, _ in self._ahead):
                self._ahead.append((request, self._submit(executor, request)))

    def close(self) -> None:
        """End the process."""
        with self._lock:
            if self._executor is not None:
                self._executor.shutdown(wait=True, kill_workers=True)
            self._executor = self._started = None
            self._ahead.clear()

    def _submit(self, executor: ProcessPoolExecutor, request: Request) -> Future[Any]:
        task, arguments = request
        module, _, name = task.rpartition(":")
        place = f"{module or self._module}:{name}"
        result: Future[Any] = executor.submit(run_task, place, arguments, self._settings)
        return result

    def _take_prefetched(self, request: Request) -> Future[Any] | None:
        with self._lock:
            for waiting in self._ahead:
                if waiting[0] == request:
                    self._ahead.remove(waiting)
                    return waiting[1]
        return None

    def _running(self) -> ProcessPoolExecutor:
        with self._lock:
            if self._executor is None:
                self._executor = ProcessPoolExecutor(
                    max_workers=1,
                    timeout=None,  # stay warm
                    context=get_context("loky"),
                    env=self._settings.to_environment(),
                )
                self._started = self._submit(self._executor, ("start_worker", (os.getpid(),)))
            return self._executor

    def _forget(self, broken: ProcessPoolExecutor) -> None:
        with self._lock:
            if self._executor is broken:
                self._executor = self._started = None
                self._ahead.clear()
        broken.shutdown(wait=False, kill_workers=True)


class Inference(Worker):
    """The process with TensorFlow, with the one that answers in front of it."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self._uses_litert = settings.runtime != "keras"
        self.answering = Worker(replace(settings, runtime="litert"), ANSWERS)

    def warm_up(self) -> None:
        """Start the process that is likely to be asked first, without waiting for it."""
        if self._uses_litert:
            self.answering.warm_up()
        if not self._uses_litert or not self._settings.networks.is_dir():
            super().warm_up()

    def is_warm(self, task: str) -> bool:
        """Whether a task need not wait for TensorFlow's start."""
        return self._is_answered(task) or self.warm

    def ask(self, task: str, *arguments: Any) -> Any:
        """Return a task's result, without TensorFlow where that is possible."""
        if not self._is_answered(task):
            return super().ask(task, *arguments)
        try:
            return self.answering.ask(task, *arguments)
        except NotConverted as error:
            networks = error.networks
        result = super().ask(task, *arguments)
        for network in networks:  # after the answer, which waits for the same processors
            start_conversion(network, self._settings)
        return result

    def close(self) -> None:
        """End both processes."""
        self.answering.close()
        super().close()

    def _is_answered(self, task: str) -> bool:
        return self._uses_litert and (task in ANSWERED or task.startswith(ANSWERED_MODULES))


def run_task(place: str, arguments: tuple[Any, ...], settings: Settings) -> Any:
    """Run a task, "module:function"; the worker does this."""
    module, _, name = place.partition(":")
    return getattr(importlib.import_module(module), name)(*arguments, settings=settings)
