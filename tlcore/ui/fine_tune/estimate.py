"""What a run will cost, estimated behind the page: a person who fills in the form does not wait."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property

import streamlit as st

from tlcore.datasets.dataset import Sample
from tlcore.settings import Settings
from tlcore.text import file_size
from tlcore.training.config import RunConfig, check_splits
from tlcore.training.cost import Cost
from tlcore.training.store import list_runs
from tlcore.ui.components.live import live
from tlcore.ui.components.run_progress import approximate
from tlcore.ui.format import plural
from tlcore.ui.services import inference

TASK = "tlcore.training.cost:estimate_cost"
MOST = 64  # estimates in memory
SMALL = 1000  # rows of pooled features that fit into any memory
_EXECUTOR = ThreadPoolExecutor(max_workers=1)
_DRAWN = "_estimate-drawn"  # key of the plan that was drawn last
# The options that change what a run costs.
_OPTIONS = ("backbone", "size", "fit", "pooling", "hidden_units", "batch_size", "epochs",
            "fine_tune_epochs", "unfreeze_from", "augmented_copies", "on_the_fly_augmentation",
            "augmentations", "seed", "random_weights", "optimizer")  # fmt: skip


@dataclass(frozen=True, eq=False)
class Plan:
    """A run as the form describes it, with its images."""

    config: RunConfig
    train: Sequence[Sample]
    val: Sequence[Sample]

    @cached_property
    def images_id(self) -> int:
        """A number that changes with the images or their labels."""
        samples = (*self.train, *self.val)
        return hash(tuple((sample.sha256 or sample.file, sample.label) for sample in samples))

    @property
    def is_small(self) -> bool:
        """Whether it fits into every machine, so that *Start* need not wait for the estimate."""
        config = self.config
        rows = len(self.train) * (1 + config.augmented_copies) + len(self.val)
        return rows <= SMALL and config.pooling != "flatten" and not config.fine_tune_epochs


def plan_key(plan: Plan, settings: Settings) -> str:
    """Return what the cost of a run depends on; a run that has ended may have filled the cache."""
    ended = next((info.id for info in list_runs(settings) if not info.active), "")
    options = [getattr(plan.config, name) for name in _OPTIONS]
    return f"{options} {plan.images_id} {ended}"


@st.cache_resource(show_spinner=False)
def _estimates() -> dict[str, Future[Cost]]:
    """Return the estimates of all sessions by plan, the oldest first."""
    return {}


def start_estimate(plan: Plan, settings: Settings) -> Future[Cost]:
    """Estimate in a thread, unless it has been done; what failed is tried again."""
    estimates, key, client = _estimates(), plan_key(plan, settings), inference(settings)
    future = estimates.get(key)
    if future is None or (future.done() and future.exception()):
        future = _EXECUTOR.submit(client.ask, TASK, plan.config, plan.train, plan.val)
        estimates[key] = future
        while len(estimates) > MOST:
            estimates.pop(next(iter(estimates)))
    return future


def check_cost(plan: Plan, settings: Settings) -> None:
    """Refuse a run that cannot fit; a small one does not wait for its estimate.

    Raises:
        BadConfig: it does not fit into the cache, onto the disk or into memory.
        BadDataset: a split has no image.
    """
    check_splits(plan.train, plan.val)
    future = _estimates().get(plan_key(plan, settings))
    if plan.is_small and not (future and future.done()):
        return
    with st.spinner("Trying a few images, to see that it fits …"):
        start_estimate(plan, settings).result()


def draw_estimate(plan: Plan, settings: Settings) -> None:
    """Draw the time, disk and memory that the run needs, once they are estimated."""
    key = plan_key(plan, settings)

    def is_pending() -> bool:
        future = _estimates().get(key)
        return future is None or not future.done()

    def draw() -> None:
        has_settled = st.session_state.get(_DRAWN) == key  # for a tick: worth an estimate
        st.session_state[_DRAWN] = key
        if has_settled and key not in _estimates():
            start_estimate(plan, settings)
        if is_pending():
            st.caption(":material/timer: Estimating the time …")
            return
        cost = _estimates()[key].result()
        needs = f"{file_size(cost.disk)} of disk, " if cost.disk else ""
        images = plural(cost.missing, "image")
        source = f"computes features of {images}" if cost.missing else "features are in the cache"
        st.caption(
            f":material/timer: **About {approximate(cost.total_seconds)}**, {needs}"
            f"{file_size(cost.memory)} of memory; {source}."
        )

    live(is_pending, draw, every=0.5)
