"""What runs will cost, tried out behind the pages: a person who chooses does not wait for it."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from functools import cached_property
from threading import Lock, Thread
from typing import Any

import numpy as np
import plotly.graph_objects as go
import streamlit as st

from tlcore.datasets.dataset import Sample
from tlcore.percentages import percent, points
from tlcore.settings import Settings
from tlcore.training.config import OPTIMIZERS, RunConfig
from tlcore.training.cost import Cost
from tlcore.training.learning_rate import LearningRateScan, select_head_recipe
from tlcore.training.run import Run
from tlcore.training.store import list_runs
from tlcore.training.studies import Improvement, LearningCurvePoint, judge_last_images
from tlcore.ui.components.charts import PLAIN_CHART
from tlcore.ui.fine_tune.backbones import TAG, backbone_comparison, offer_board
from tlcore.ui.fine_tune.options import RATE
from tlcore.ui.format import count
from tlcore.ui.services import inference
from tlcore.ui.shell import boundary
from tlcore.ui.theme import colours, template

KEPT = 64  # answers
MINE = "_probe"  # what this session has asked last
TINY = 1000  # rows of pooled features: whatever the backbone, they fit anywhere
Key = tuple[Any, ...]


@dataclass(frozen=True, eq=False)
class Planned:
    """A run that could be started, with its images."""

    config: RunConfig
    train: Sequence[Sample]
    val: Sequence[Sample]
    after: str  # id of the newest run that has ended: it has added to the cache

    @cached_property
    def key(self) -> Key:
        """What its cost depends on."""
        return (_plain(self.config), images_of(self), self.after)

    @property
    def tiny(self) -> bool:
        """Whether it fits for certain, so that nobody has to wait for a probe."""
        config = self.config
        rows = len(self.train) * (1 + config.augmented_copies) + len(self.val)
        return rows <= TINY and config.pooling != "flatten" and not config.fine_tune_epochs


def images_of(planned: Planned) -> int:
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
    asked = probes().ask(
        planned.key,
        lambda: client.ask(
            "tlcore.training.cost:estimate_cost", config, planned.train, planned.val
        ),
    )
    if isinstance(before, Future) and before is not asked:
        before.cancel()
    st.session_state[MINE] = asked
    return asked


def seconds_an_image(cost: Cost, planned: Planned) -> float | None:
    """Return what an image takes through the network, or None where none had to be tried."""
    if cost.missing:
        return cost.feature_seconds / cost.missing
    if planned.config.on_the_fly_augmentation and planned.train:
        return cost.epoch_seconds / len(planned.train)
    return None


def freely(planned: Planned) -> Planned:
    """Return a run whose cost tells how long an image takes, whatever the cache has."""
    config = planned.config
    kinds = config.augmentations or RunConfig(dataset="").augmentations
    free = replace(config, augmented_copies=0, on_the_fly_augmentation=True, augmentations=kinds,
                   fine_tune_epochs=0, epochs=1)  # fmt: skip
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
        learning_rate_schedule="constant",
        label_smoothing=0.0,
        class_weights="none",
        patience=0,
        dropout=0.0,
    )


# A good learning rate for the recipe of the form, put into the form.


ASKED = "_rate-asked"  # the recipe and images that were asked about
LOWEST, HIGHEST = 1e-7, 1.0


def offer_rate(planned: Planned, classes: Sequence[str], settings: Settings) -> None:
    """Offer to find a learning rate for a run that could be started.

    Once another recipe is chosen, the answer for the one before it is gone.
    """
    recipe = f"{select_head_recipe(planned.config)}, {classes}, {images_of(planned)}"
    if st.button(
        "Find a learning rate",
        icon=":material/troubleshoot:",
        type="tertiary",
        disabled=not planned.config.epochs,
        help="Lets the rate grow step by step, with all that is chosen here, and looks where the "
        "loss falls. Features that are not there yet are computed first, and kept for the run.",
    ):
        st.session_state[ASKED] = recipe
    if st.session_state.get(ASKED) == recipe and planned.config.epochs:
        with boundary():
            _show(recipe, planned, classes, settings)


def _show(recipe: str, planned: Planned, classes: Sequence[str], settings: Settings) -> None:
    with st.spinner("Computing the features that are not there yet, then training a head …"):
        found = _rates(recipe, planned, classes, settings)
    draw_rates(found, "form-rate")
    computed = f", {count(found.computed, 'feature')} computed for it" if found.computed else ""
    st.caption(f"For {_words(planned.config)}{computed}.")
    rate = min(HIGHEST, max(LOWEST, float(f"{found.suggested:.1g}")))
    st.button(f"Use {rate:g}", icon=":material/check:", on_click=_use, args=(rate,))


@st.cache_data(show_spinner=False, max_entries=50)
def _rates(
    recipe: str, _planned: Planned, _classes: Sequence[str], _settings: Settings
) -> LearningRateScan:
    """Work it out, once for each recipe."""
    task = "tlcore.training.learning_rate:find_learning_rate_for"
    found: LearningRateScan = inference(_settings).ask(
        task, _planned.config, _classes, _planned.train
    )
    return found


def _words(config: RunConfig) -> str:
    """Name the recipe that was tried."""
    optimizer = OPTIMIZERS[config.optimizer].partition(":")[0]
    balance = {"balanced": ", class weights", "oversampling": ", oversampling"}
    return (
        f"{config.backbone} at {config.size} × {config.size}, {optimizer}, "
        f"{config.batch_size} images a batch{balance.get(config.class_weights, '')}"
    )


def _use(rate: float) -> None:
    st.session_state[RATE] = rate
    st.session_state.pop(ASKED, None)


# What else a run's features can tell: enough images? how sure? which rate? which backbone?


ENOUGH, FOLDS, STUDIES_RATE = "Enough images?", "How sure is it?", "Which learning rate?"
BACKBONE = "Which backbone?"
TASKS = {
    ENOUGH: "tlcore.training.studies:compute_learning_curve",
    FOLDS: "tlcore.training.studies:cross_validate",
    STUDIES_RATE: "tlcore.training.learning_rate:find_learning_rate",
}
HELP = {
    ENOUGH: "Accuracy with fewer images, five times each, all with the same number of steps. "
    "Still rising: bring more.",
    FOLDS: "Five divisions of the same images: how much the accuracy depends on luck.",
    STUDIES_RATE: "The loss while the rate grows; the middle of its fall is a good rate.",
}
FEW = 5  # divisions; with fewer images of a class there are fewer
CURVE_HEIGHT = 280  # px


def run_studies(run: Run, settings: Settings) -> None:
    """Offer the questions, each answered from the features that are kept, in seconds."""
    with st.expander("Ask more of these features", icon=":material/query_stats:"), boundary():
        asked = st.session_state.get(f"study-{run.info.id}", "")
        with st.container(horizontal=True):
            for words in TASKS:
                if st.button(words, help=HELP[words]):
                    asked = words
            if st.button(BACKBONE, help="The same head on every backbone whose weights are here. "
                         f"Its runs are tagged “{TAG}”."):  # fmt: skip
                asked = BACKBONE
        st.session_state[f"study-{run.info.id}"] = asked
        if asked == BACKBONE:
            offer_board(run, settings)
            backbone_comparison(run, settings)
        elif asked:
            with st.spinner("Training heads …"):
                _draw(asked, answer_of(TASKS[asked], run.info.id, settings))


@st.cache_data(show_spinner=False, max_entries=50)
def answer_of(task: str, run: str, _settings: Settings) -> object:
    """Return the answer of one of the studies for a run; it is worked out once."""
    return inference(_settings).ask(task, run)


def _draw(asked: str, found: object) -> None:
    if isinstance(found, LearningRateScan):
        draw_rates(found, "study-rate")
    elif asked == ENOUGH and isinstance(found, tuple):
        _points(found)
    elif isinstance(found, tuple):
        mean, spread = float(np.mean(found)), float(np.std(found, ddof=1))
        st.metric(
            f"Accuracy over {len(found)} divisions",
            f"{percent(mean)} ± {points(spread)}",
            help="Mean and standard deviation over the divisions.",
        )
        st.caption(f"Each of them: {', '.join(percent(share) for share in found)}.")
        if len(found) < FEW:
            st.caption(f":material/warning: From {len(found)} divisions: the images are too few "
                       "for more, and for a spread that means much.")  # fmt: skip


def draw_rates(found: LearningRateScan, key: str) -> None:
    """Draw the loss over the learning rate, with the rate that is suggested."""
    figure = _figure(found.rates, found.losses, "learning rate", "loss")
    figure.update_xaxes(type="log", exponentformat="power")
    figure.add_vline(x=found.suggested, line={"dash": "dot", "color": colours().faint})
    st.plotly_chart(figure, theme=None, key=key, config=PLAIN_CHART)
    st.caption(f"About {found.suggested:.1g} would be a good rate.")


def _points(points: tuple[LearningCurvePoint, ...]) -> None:
    x = [point.images for point in points]
    figure = _figure(x, [point.accuracy for point in points], "images of each class", "accuracy")
    figure.data[0].error_y = {
        "type": "data",
        "symmetric": False,
        "array": [point.high - point.accuracy for point in points],
        "arrayminus": [point.accuracy - point.low for point in points],
    }
    figure.update_xaxes(type="log", tickvals=x, ticktext=[str(number) for number in x])
    lowest = min(point.low for point in points)
    figure.update_yaxes(tickformat=".0%", range=[min(0.5, lowest), 1.01])
    st.plotly_chart(figure, theme=None, key="study-enough", config=PLAIN_CHART)
    st.caption("Mean of five draws with its 95% interval, judged by the validation images.")
    if rise := judge_last_images(points):
        st.markdown(_rise_words(rise))


def _rise_words(rise: Improvement) -> str:
    before, after = rise.before, rise.after
    steps = f"from {before.images:,} to {after.images:,} images of each class"
    figures = f"({percent(before.accuracy)} to {percent(after.accuracy)})"
    if rise.clear:
        return f"It still rises {steps} {figures}: more images like these are likely to help."
    return f"No clear change {steps} {figures}: more images like these may help little."


def _figure(x: object, y: object, across: str, up: str) -> go.Figure:
    figure = go.Figure(layout={"template": template()})
    line = {"color": colours().head, "width": 2.5}
    figure.add_scatter(x=x, y=y, mode="lines+markers", line=line, name=up)
    figure.update_xaxes(title=across)
    figure.update_yaxes(title=up)
    figure.update_layout(height=CURVE_HEIGHT, margin={"l": 56, "r": 8, "t": 10, "b": 44})
    return figure
