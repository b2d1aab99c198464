"""What runs will cost, tried out behind the pages: a person who chooses does not wait for it."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from functools import cached_property
from threading import Lock, Thread
from typing import Any

import streamlit as st

from tlcore.datasets.dataset import Sample
from tlcore.settings import Settings
from tlcore.training.config import RunConfig
from tlcore.training.probe import Cost
from tlcore.training.store import list_runs
from tlcore.ui.services import inference

KEPT = 64  # answers
MINE = "_probe"  # what this session has asked last
TINY = 1000  # rows of pooled features: whatever the backbone, they fit anywhere
Key = tuple[Any, ...]


@dataclass(frozen=True, eq=False)
class Planned:
    """A run that could be started, with its pictures."""

    config: RunConfig
    train: Sequence[Sample]
    val: Sequence[Sample]
    after: str  # id of the newest run that has ended: it has added to the cache

    @cached_property
    def key(self) -> Key:
        """What its cost depends on."""
        return (_plain(self.config), pictures_of(self), self.after)

    @property
    def tiny(self) -> bool:
        """Whether it fits for certain, so that nobody has to wait for a probe."""
        config = self.config
        rows = len(self.train) * (1 + config.views) + len(self.val)
        return rows <= TINY and config.pooling != "flatten" and not config.fine_tune_epochs


def pictures_of(planned: Planned) -> int:
    """Return a number that changes with the images or labels of a planned run."""
    samples = (*planned.train, *planned.val)
    return hash(tuple((sample.sha256 or sample.file, sample.label) for sample in samples))


class Probes:
    """Answers by question; they are worked out one after another."""

    def __init__(self) -> None:
        self._lock, self._turn = Lock(), Lock()
        self._answers: OrderedDict[Key, Future[Cost]] = OrderedDict()

    def known(self, key: Key) -> Future[Cost] | None:
        """Return the answer, perhaps still under way, or None if nobody waits for it."""
        with self._lock:
            found = self._answers.get(key)
            return None if found is None or found.cancelled() else found

    def ask(self, key: Key, work: Callable[[], Cost]) -> Future[Cost]:
        """Have it worked out, unless it is under way or known; what failed is tried again."""
        with self._lock:
            found = self._answers.get(key)
            if found and not found.cancelled() and not (found.done() and found.exception()):
                return found
            future = self._answers[key] = Future[Cost]()
            while len(self._answers) > KEPT:
                self._answers.popitem(last=False)
        Thread(target=self._work, args=(future, work), daemon=True).start()
        return future

    def _work(self, future: Future[Cost], work: Callable[[], Cost]) -> None:
        with self._turn:
            if not future.set_running_or_notify_cancel():
                return  # the person has chosen something else meanwhile
            try:
                future.set_result(work())
            except BaseException as error:  # whoever asks for the result gets it
                future.set_exception(error)


@st.cache_resource(show_spinner=False)
def probes() -> Probes:
    return Probes()


def known(planned: Planned) -> Future[Cost] | None:
    """Return what is known of a run's cost."""
    return probes().known(planned.key)


def ask(planned: Planned, settings: Settings) -> Future[Cost]:
    """Ask for a run's cost; what this session asked before and has not begun is dropped."""
    client, config = inference(settings), _plain(planned.config)
    before = st.session_state.get(MINE)
    asked = probes().ask(planned.key, lambda: client.run_cost(config, planned.train, planned.val))
    if isinstance(before, Future) and before is not asked:
        before.cancel()
    st.session_state[MINE] = asked
    return asked


def seconds_a_picture(cost: Cost, planned: Planned) -> float | None:
    """Return what a picture takes through the network, or None where none had to be tried."""
    if cost.missing:
        return cost.feature_seconds / cost.missing
    if planned.config.free_augmentation and planned.train:
        return cost.epoch_seconds / len(planned.train)
    return None


def freely(planned: Planned) -> Planned:
    """Return a run whose cost tells how long a picture takes, whatever the cache has."""
    config = planned.config
    kinds = config.augment or RunConfig(dataset="").augment
    free = replace(config, views=0, free_augmentation=True, augment=kinds, fine_tune_epochs=0,
                   epochs=1)  # fmt: skip
    return replace(planned, config=free)


def newest_ended(settings: Settings) -> str:
    """Return the id of the newest run that has ended, or ""."""
    return next((info.id for info in list_runs(settings) if not info.active), "")


def _plain(config: RunConfig) -> RunConfig:
    """Return it without what costs neither time nor memory: that is no other question."""
    return replace(
        config,
        learning_rate=1e-3,
        fine_tune_learning_rate=0.0,
        schedule="constant",
        label_smoothing=0.0,
        balance="none",
        patience=0,
        dropout=0.0,
    )
