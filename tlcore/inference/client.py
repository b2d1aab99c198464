"""What a page hands over that needs a network to be looked at first."""

from __future__ import annotations

import importlib
import os
import threading
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from pathlib import Path
from typing import Any

from loky import ProcessPoolExecutor
from loky.backend import get_context
from loky.process_executor import ShutdownExecutorError

from tlcore.datasets.dataset import Sample
from tlcore.errors import WorkerDied
from tlcore.export.script import render_script
from tlcore.models.predictions import BriefPrediction, Explanation, ModelRef, Prediction, ShapePath
from tlcore.settings import Settings
from tlcore.training.config import RunConfig
from tlcore.training.cost import Cost
from tlcore.training.learning_rate import LearningRateScan


def script(settings: Settings, run: str, ending: str) -> str:
    """Return a run as the text of a script (".py") or of a notebook (".ipynb")."""
    return render_script(run, ending, settings)


# The page's side of the inference worker: one warm process with TensorFlow and loaded networks.
#
# The web server must not load TensorFlow: Streamlit clears Keras' session after every script run,
# which makes each answer slow. loky keeps one worker process, starts it without running the
# page's script again, notices when it dies and takes it down with the server.


TASKS = "tlcore.inference.tasks"  # imported in the worker only: it loads TensorFlow
AHEAD = 4  # answers kept that nobody has asked for yet; a page of maps is up to half a megabyte
Question = tuple[str, tuple[Any, ...]]  # task and arguments


class Inference:
    """Asks the worker. Safe to share between threads; questions are answered one at a time.

    Every method raises what the core raises, and ``WorkerDied`` when the process ended twice
    while it worked on the same question.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._executor: ProcessPoolExecutor | None = None
        self._warm: Future[int] | None = None
        self._ahead: deque[tuple[Question, Future[Any]]] = deque(maxlen=AHEAD)

    def warm_up(self) -> None:
        """Start the process, if there is none, without waiting for it."""
        self._running()

    @property
    def warm(self) -> bool:
        """Whether the process is up with TensorFlow loaded."""
        return self._warm is not None and self._warm.done() and self._warm.exception() is None

    @property
    def process_id(self) -> int:
        """The worker's process id; waits until it is up."""
        self._running()
        assert self._warm is not None
        return self._warm.result()

    def predict(self, image: Path, ref: ModelRef) -> Prediction:
        """Return a network's answer to one image file."""
        prediction: Prediction = self._ask("predict", image, ref)
        return prediction

    def ask(self, task: str, *args: Any) -> Any:
        """Ask for a task of another module of the worker, "module:function"."""
        return self._ask(task, *args)

    def ahead(self, task: str, *args: Any) -> None:
        """Let a task be worked on before it is asked for; ``ask`` then has its answer at once."""
        executor = self._running()
        with self._lock, suppress(BrokenProcessPool, ShutdownExecutorError):
            if all(question != (task, args) for question, _ in self._ahead):
                answer = executor.submit(run_task, task, self._settings, *args)
                self._ahead.append(((task, args), answer))

    def explain(self, image: Path, ref: ModelRef, index: int, layer: str = "") -> Explanation:
        """Return where a network looked for one class in one image file."""
        explanation: Explanation = self._ask("explain", image, ref, index, layer)
        return explanation

    def shape_path(self, ref: ModelRef, classes: int) -> ShapePath:
        """Return how an image becomes numbers in a network, with a head of so many classes."""
        path: ShapePath = self._ask("shape_path", ref, classes)
        return path

    def predict_many(
        self, images: Sequence[Path], refs: Sequence[ModelRef]
    ) -> list[tuple[BriefPrediction, ...] | str]:
        """Return each image file's short answer by every network, or why it has none.

        Ask for a hundred or so at a time: other questions wait meanwhile.
        """
        briefs: list[tuple[BriefPrediction, ...] | str] = self._ask("predict_many", images, refs)
        return briefs

    def run_cost(self, config: RunConfig, train: Sequence[Sample], val: Sequence[Sample]) -> Cost:
        """Return what a run will need, from some images tried."""
        cost: Cost = self._ask("run_cost", config, train, val)
        return cost

    def find_rate(
        self, config: RunConfig, classes: Sequence[str], train: Sequence[Sample]
    ) -> LearningRateScan:
        """Return the learning rate that suits the head of a recipe. Other questions wait
        meanwhile: seconds where the features are there, else as long as computing them takes."""
        rates: LearningRateScan = self._ask("find_rate_of", config, classes, train)
        return rates

    def study(self, name: str, run: str) -> object:
        """Return the answer of one of ``studies`` for a run."""
        return self._ask("study", name, run)

    def close(self) -> None:
        """End the process."""
        with self._lock:
            if self._executor is not None:
                self._executor.shutdown(wait=True, kill_workers=True)
            self._executor = self._warm = None
            self._ahead.clear()

    def _ask(self, task: str, *args: Any) -> Any:
        for last in (False, True):
            executor = self._running()
            try:
                answer = self._taken((task, args))
                return (answer or executor.submit(run_task, task, self._settings, *args)).result()
            except (BrokenProcessPool, ShutdownExecutorError) as error:
                self._forget(executor)
                if last:
                    raise WorkerDied(
                        "Expected an answer from the inference process. Received its end, twice: "
                        "it was killed or ran out of memory. It starts afresh with the next "
                        "click; try a smaller image size or another backbone."
                    ) from error
        raise AssertionError("unreachable")

    def _taken(self, question: Question) -> Future[Any] | None:
        """Return the answer that is under way since ``ahead``, if this was foreseen."""
        with self._lock:
            for foreseen in self._ahead:
                if foreseen[0] == question:
                    self._ahead.remove(foreseen)
                    return foreseen[1]
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
                self._warm = self._executor.submit(run_task, "wake", self._settings, os.getpid())
            return self._executor

    def _forget(self, broken: ProcessPoolExecutor) -> None:
        with self._lock:
            if self._executor is broken:
                self._executor = self._warm = None
                self._ahead.clear()
        broken.shutdown(wait=False, kill_workers=True)


def run_task(task: str, settings: Settings, *args: Any) -> Any:
    """Run one of ``tasks``' functions, or "module:function" of another; the worker does this."""
    module, _, name = task.rpartition(":")
    return getattr(importlib.import_module(module or TASKS), name)(settings, *args)
