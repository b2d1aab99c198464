"""The page's side of the warm processes: two without TensorFlow, one that looks inside with it.

The web server must not load TensorFlow: Streamlit clears Keras' session after every script run,
which makes each prediction slow. Predictions of converted networks need none and come from a
process of a tenth of the size, which never waits behind TensorFlow; the other one starts when
something needs it. loky keeps each worker process, starts it without running the page's script
again, notices when it dies and ends it with the server.
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
from functools import cache
from itertools import count
from pathlib import Path
from tempfile import mkstemp
from typing import Any
from weakref import finalize

from loky import ProcessPoolExecutor
from loky.backend import get_context
from loky.process_executor import ShutdownExecutorError

from tlcore.errors import WorkerDied
from tlcore.models.runtime import NotConverted, start_conversion
from tlcore.settings import Settings

TASKS = "tlcore.inference.tasks"  # imported in the worker only: it loads TensorFlow
ANSWERS = "tlcore.inference.answers"
ANSWERED = ("predict", "explain", "predict_batch")  # tasks without TensorFlow, and
ANSWERED_MODULES = "tlcore.evaluation."  # those of these modules
STUDIES = "tlcore.training."  # modules whose tasks take up to minutes: nobody's answer waits
AHEAD = 4  # results that may wait to be asked for; a page of maps is up to half a megabyte
DEATHS = 8  # of processes, over whatever task, after which a request is given up
Request = tuple[str, tuple[Any, ...]]  # task and arguments
Sent = tuple[int, "Future[Any]"]  # a number, as of the tasks of one process, and the result


class Process:
    """One process of a ``Worker``; it writes the number of each task into a file that both open."""

    def __init__(self, settings: Settings, module: str) -> None:
        self._settings, self._module, self._numbers = settings, module, count(1)
        self._taken, self._path = mkstemp(prefix="tlcore-task-")
        finalize(self, _remove, self._taken, self._path)
        self._executor = ProcessPoolExecutor(
            max_workers=1,
            timeout=None,  # stay warm
            context=get_context("loky"),
            env=settings.to_environment(),
        )
        self.started: Future[int] = self.send("start_worker", (os.getpid(),))[1]

    def send(self, task: str, arguments: tuple[Any, ...]) -> Sent:
        """Queue a task."""
        module, _, name = task.rpartition(":")
        place, number = f"{module or self._module}:{name}", next(self._numbers)
        call = (place, arguments, self._settings, self._path, number)
        return number, self._executor.submit(run_task, *call)

    def died_during(self, number: int) -> bool:
        """Whether this process, which is dead, died in this task or before it was up at all."""
        taken = int.from_bytes(os.pread(self._taken, 8, 0))
        return taken == number or self.started.exception() is not None

    def end(self, *, wait: bool = False) -> None:
        """Kill it, if it is still there."""
        self._executor.shutdown(wait=wait, kill_workers=True)


class Worker:
    """Sends tasks to one process. Safe to share between threads; tasks run one at a time."""

    def __init__(self, settings: Settings, module: str = TASKS) -> None:
        self._settings, self._module = settings, module
        self._lock = threading.Lock()
        self._process: Process | None = None
        self._ahead: deque[tuple[Request, Sent]] = deque(maxlen=AHEAD)

    def warm_up(self) -> None:
        """Start the process, if there is none, without waiting for it."""
        self._running()

    @property
    def warm(self) -> bool:
        """Whether the process is up, with its modules loaded."""
        process = self._process
        return process is not None and process.started.done() and not process.started.exception()

    @property
    def process_id(self) -> int:
        """The worker's process id; waits until it is up."""
        return self._running().started.result()

    def ask(self, task: str, *arguments: Any) -> Any:
        """Run a task in the worker and return its result.

        Args:
            task: a function of the worker's module, or "module:function" of another one. It gets
                the arguments, and ``settings`` by name.

        Raises:
            WorkerDied: the process ended twice during this task. One that ends while the task
                waits behind another does not count.
            TLCoreError: what the task raises.
        """
        request, own = (task, arguments), 0
        for _ in range(DEATHS):
            process, number = self._running(), 0
            try:
                number, result = self._take_prefetched(request) or process.send(*request)
                return result.result()
            except (BrokenProcessPool, ShutdownExecutorError) as error:
                self._forget(process)
                own, death = own + process.died_during(number), error
            if own == 2:
                break
        raise WorkerDied(
            "The inference process ended twice during this request: it was killed or ran out of "
            "memory. It starts again with the next click. Try a smaller image size or another "
            "backbone."
        ) from death

    def prefetch(self, task: str, *arguments: Any) -> None:
        """Start a task that is likely to be asked for next, without waiting for its result."""
        process, request = self._running(), (task, arguments)
        with self._lock, suppress(BrokenProcessPool, ShutdownExecutorError):
            if all(waiting != request for waiting, _ in self._ahead):
                self._ahead.append((request, process.send(*request)))

    def close(self) -> None:
        """End the process."""
        with self._lock:
            if self._process is not None:
                self._process.end(wait=True)
            self._process = None
            self._ahead.clear()

    def _take_prefetched(self, request: Request) -> Sent | None:
        with self._lock:
            for waiting in self._ahead:
                if waiting[0] == request:
                    self._ahead.remove(waiting)
                    return waiting[1]
        return None

    def _running(self) -> Process:
        with self._lock:
            if self._process is None:
                self._process = Process(self._settings, self._module)
            return self._process

    def _forget(self, dead: Process) -> None:
        with self._lock:
            if self._process is dead:
                self._process = None
                self._ahead.clear()
        dead.end()


class Inference(Worker):
    """The process with TensorFlow, with two in front of it: one answers, one trains heads."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self._uses_litert = settings.runtime != "keras"
        self.answering, self.studying = (
            Worker(replace(settings, runtime="litert"), ANSWERS) for _ in range(2)
        )

    def warm_up(self) -> None:
        """Start the process that is likely to be asked first, without waiting for it."""
        if self._uses_litert:
            self.answering.prefetch("load_default")
        if not self._uses_litert or not self._settings.networks.is_dir():
            super().warm_up()

    def is_warm(self, task: str) -> bool:
        """Whether a task need not wait for TensorFlow's start."""
        return self._find_light(task) is not None or self.warm

    def ask(self, task: str, *arguments: Any) -> Any:
        """Return a task's result, without TensorFlow where that is possible."""
        worker = self._find_light(task)
        if worker is None:
            return super().ask(task, *arguments)
        try:
            return worker.ask(task, *arguments)
        except NotConverted as error:
            networks = error.networks
        result = super().ask(task, *arguments)
        for network in networks:  # after the answer, which waits for the same processors
            start_conversion(network, self._settings)
        return result

    def close(self) -> None:
        """End all processes."""
        self.answering.close()
        self.studying.close()
        super().close()

    def _find_light(self, task: str) -> Worker | None:
        """Return the process without TensorFlow that is asked first."""
        if not self._uses_litert:
            return None
        if task in ANSWERED or task.startswith(ANSWERED_MODULES):
            return self.answering
        return self.studying if task.startswith(STUDIES) else None


def run_task(
    place: str, arguments: tuple[Any, ...], settings: Settings, taken: str, number: int
) -> Any:
    """Run a task, "module:function", once its number is written down; the worker does this."""
    with suppress(OSError):  # a full disk: no reason to fail
        os.pwrite(_open(taken), number.to_bytes(8), 0)
    module, _, name = place.partition(":")
    return getattr(importlib.import_module(module), name)(*arguments, settings=settings)


def _remove(descriptor: int, path: str) -> None:
    os.close(descriptor)
    Path(path).unlink(missing_ok=True)


@cache
def _open(path: str) -> int:
    descriptor = os.open(path, os.O_WRONLY)
    Path(path).unlink()  # a server that is killed leaves no file behind
    return descriptor
