"""How to improve a run: learning curve, cross-validation, learning-rate finder, backbones."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import plotly.graph_objects as go
import streamlit as st

from tlcore.evaluation.comparison import Difference, Verdict, compare_validation
from tlcore.models.weights import list_weights
from tlcore.percentages import percent, points, signed_points
from tlcore.settings import Settings
from tlcore.training.config import OPTIMIZERS, RunConfig
from tlcore.training.run import Run, RunInfo, write_notes
from tlcore.training.status import FAILED, STOPPED
from tlcore.training.store import list_runs, load_run_info
from tlcore.training.studies import (
    LearningCurvePoint,
    LearningRateScan,
    judge_last_images,
    select_head_recipe,
)
from tlcore.ui.components.charts import draw_chart
from tlcore.ui.components.live import live
from tlcore.ui.fine_tune.estimate import Plan
from tlcore.ui.fine_tune.recipe import run_again
from tlcore.ui.fine_tune.run_list import runs_table
from tlcore.ui.format import duration, plural
from tlcore.ui.inference_requests import ask
from tlcore.ui.services import inference, start_run_once
from tlcore.ui.shell import UPLOAD, boundary
from tlcore.ui.state import Choice, choose
from tlcore.ui.theme import colours
from tlcore.ui.widgets import unique_labels

LOWEST_RATE, HIGHEST_RATE = 1e-7, 1.0
FOLDS = 5  # of cross-validation; fewer where a class has fewer images
HEIGHT = 280  # px
BACKBONES = "backbones"  # the study, and the tag of its runs
_SCANNED = "_rate-scanned"  # recipe and images of the latest learning-rate scan
MOST = 6  # other backbones


def studies_view(run: Run, settings: Settings) -> None:
    """Let the person choose a study; it trains heads on cached features, in seconds."""
    titles = {name: title for name, (title, *_) in STUDIES.items()} | {BACKBONES: "Backbones"}
    name = st.segmented_control(
        "Study",
        list(titles),
        key=_study_key(run),
        format_func=unique_labels(titles, titles.__getitem__),
        label_visibility="collapsed",
    )
    if name is None:
        for title, text, *_ in STUDIES.values():
            st.markdown(f"**{title}**: {text}")
        st.markdown("**Backbones**: the same head on every backbone whose weights are here.")
    elif name == BACKBONES:
        backbones_view(run, settings)
    else:
        _, text, task, draw = STUDIES[name]
        st.caption(f"{text[0].upper()}{text[1:]}")
        draw(ask(task, run.info.id, settings=settings, words="Training heads …"), run, settings)


def _study_key(run: Run) -> str:
    return f"study-{run.info.id}"


def draw_rate_finder(plan: Plan, classes: Sequence[str], rate_key: str, settings: Settings) -> None:
    """Offer to find a learning rate for the recipe of the form, and to put it there.

    The result disappears when another recipe is filled in.

    Args:
        plan: the recipe, and the images that a head is trained on.
        classes: of the dataset.
        rate_key: of the form's field for the learning rate.
        settings: the workspace.
    """
    config = plan.config
    scanned = f"{select_head_recipe(config)}, {classes}, {plan.images_id}"
    if st.button(
        "Find a learning rate",
        icon=":material/troubleshoot:",
        type="tertiary",
        disabled=not config.epochs,
        help="Raises the learning rate step by step with this recipe and finds where the loss "
        "falls. Missing features are computed first and cached for the run.",
    ):
        st.session_state[_SCANNED] = scanned
    if st.session_state.get(_SCANNED) != scanned or not config.epochs:
        return
    with boundary():
        with st.spinner("Computing missing features, then training a head …"):
            scan = _scan(scanned, plan, classes, settings)
        rate = _draw_scan(scan)
        optimizer = OPTIMIZERS[config.optimizer].partition(":")[0]
        weights = {"balanced": ", class weights", "oversampling": ", oversampling"}
        computed = f"; {plural(scan.computed, 'feature')} computed for it" if scan.computed else ""
        st.caption(
            f"For {config.backbone} at {config.size} × {config.size}, {optimizer}, batches of "
            f"{config.batch_size}{weights.get(config.class_weights, '')}{computed}."
        )
        fill = {rate_key: rate, _SCANNED: ""}
        st.button(
            f"Use {rate:g}",
            icon=":material/check:",
            on_click=lambda: st.session_state.update(fill),
        )


@st.cache_data(show_spinner=False, max_entries=50)
def _scan(
    scanned: str, _plan: Plan, _classes: Sequence[str], _settings: Settings
) -> LearningRateScan:
    scan: LearningRateScan = inference(_settings).ask(
        "tlcore.training.studies:find_learning_rate_for", _plan.config, _classes, _plan.train
    )
    return scan


def _draw_scan(scan: LearningRateScan) -> float:
    """Draw the loss over the learning rate; return the suggested rate, to one figure."""
    figure = _line_chart(scan.rates, scan.losses, "learning rate", "loss")
    figure.update_xaxes(type="log", exponentformat="power")
    figure.add_vline(x=scan.suggested, line={"dash": "dot", "color": colours().faint})
    draw_chart(figure, "learning-rate-scan", "Loss over the learning rate")
    rate = min(HIGHEST_RATE, max(LOWEST_RATE, float(f"{scan.suggested:.1g}")))
    st.markdown(f"**{rate:g} is a good learning rate**: the middle of where the loss falls.")
    return rate


def _draw_run_scan(scan: LearningRateScan, run: Run, settings: Settings) -> None:
    """Draw a scan of a run's own recipe, and offer to run it again with the rate."""
    rate, config = _draw_scan(scan), run.info.config
    if rate == config.learning_rate:
        st.caption("This run had that rate.")
        return
    st.caption(f"This run had {config.learning_rate:g}.")
    highest = min(config.fine_tune_learning_rate, rate / 10)
    again = replace(config, learning_rate=rate, fine_tune_learning_rate=highest)
    icon = ":material/check:"
    st.button(
        f"Use {rate:g}", icon=icon, key="use-rate", on_click=run_again, args=(again, settings)
    )


def _draw_folds(accuracies: Sequence[float], run: Run, settings: Settings) -> None:
    mean, deviation = float(np.mean(accuracies)), float(np.std(accuracies, ddof=1))
    st.metric(
        f"Accuracy over {len(accuracies)} folds",
        f"{percent(mean)} ± {points(deviation)}",
        help="Mean and standard deviation over the folds.",
    )
    own = run.info.val_accuracy
    if own is not None:
        lucky = abs(own - mean) > 2 * deviation
        st.markdown(
            f"This run's {percent(own)} owes much to its split: go by the mean, or **re-split**."
            if lucky
            else f"This run's {percent(own)} is what other splits give too: the split is fair."
        )
    st.page_link(UPLOAD.file, label="Splits of this dataset", icon=UPLOAD.icon,
                 query_params={"dataset": run.info.config.dataset, "view": "splits"})  # fmt: skip
    st.caption(f"Of each fold: {', '.join(percent(share) for share in accuracies)}.")
    if len(accuracies) < FOLDS:
        st.caption(
            f":material/warning: Only {len(accuracies)} folds: a class has too few images for "
            "more, and the deviation says little."
        )


def _draw_learning_curve(
    points: Sequence[LearningCurvePoint], run: Run, settings: Settings
) -> None:
    images, accuracies = [each.images for each in points], [each.accuracy for each in points]
    figure = _line_chart(images, accuracies, "images of each class", "accuracy")
    figure.data[0].error_y = {
        "type": "data",
        "symmetric": False,
        "array": [point.high - point.accuracy for point in points],
        "arrayminus": [point.accuracy - point.low for point in points],
    }
    figure.update_xaxes(type="log", tickvals=images, ticktext=[str(number) for number in images])
    lowest = min(point.low for point in points)
    figure.update_yaxes(tickformat=".0%", range=[min(0.5, lowest), 1.01])
    draw_chart(figure, "learning-curve", "Accuracy over the number of images")
    st.caption("Mean of five draws with its 95% interval, on the validation split.")
    if improvement := judge_last_images(points):
        before, after = improvement.before, improvement.after
        change = signed_points(after.accuracy - before.accuracy)
        steps = f"{change} from {before.images:,} to {after.images:,} images of each class"
        verdict = "More images would help" if improvement.clear else "More images may help little"
        st.markdown(f"**{verdict}**: {steps}.")
        if improvement.clear:
            st.page_link(UPLOAD.file, label="Add images", icon=UPLOAD.icon,
                         query_params={"dataset": run.info.config.dataset})  # fmt: skip
        else:
            fill = {_study_key(run): BACKBONES}
            st.button("Try other backbones", on_click=lambda: st.session_state.update(fill))


def _line_chart(x: Sequence[float], y: Sequence[float], x_title: str, y_title: str) -> go.Figure:
    figure = go.Figure()
    line = {"color": colours().head, "width": 2.5}
    figure.add_scatter(x=x, y=y, mode="lines+markers", line=line, name=y_title)
    figure.update_xaxes(title=x_title)
    figure.update_yaxes(title=y_title)
    figure.update_layout(height=HEIGHT, margin={"l": 56, "r": 8, "t": 10, "b": 44})
    return figure


def backbones_view(run: Run, settings: Settings) -> None:
    """Offer to train the missing runs, and list all of them; live while one trains."""
    _offer_training(run, settings)

    def is_active() -> bool:
        return any(info.active for info in _list_heads(run, settings).values() if info)

    live(is_active, lambda: _draw_table(run, settings), every=2.0)


def _offer_training(run: Run, settings: Settings) -> None:
    heads = _list_heads(run, settings)
    if not heads:
        st.info("The weights of no other backbone are here. The Compare page downloads them.")
    lost = (FAILED, STOPPED)
    missing = [each for each, info in heads.items() if info is None or info.status in lost]
    if not missing:
        return
    images, seconds = sum(run.info.images.values()), run.info.seconds
    took = f"; this run took {duration(seconds)}" if seconds else ""
    st.caption(
        f"The same head on {', '.join(each.backbone for each in missing)}: each computes features "
        f"of {plural(images, 'image')}, unless they are cached{took}. The runs are queued in the "
        "list below, where they can be cancelled."
    )
    words = f"Train {plural(len(missing), 'head')}"
    if st.button(words, icon=":material/play_arrow:", key="train-backbones"):
        for config in missing:
            new = load_run_info(start_run_once(config, settings), settings)
            if not new.notes.tags:
                write_notes(new.folder, new.notes.name, new.notes.note, [BACKBONES])
        st.toast(f"{plural(len(missing), 'run')} queued.")
        st.rerun()


def _draw_table(run: Run, settings: Settings) -> None:
    runs = [info for info in _list_heads(run, settings).values() if info]
    if not runs:
        return
    compared = {info.id: compare_validation(run.info, info) for info in runs if not info.active}
    differences = {id: difference for id, difference in compared.items() if difference}
    if differences:
        best = max(differences, key=lambda id: differences[id].value)
        _draw_best(run, next(info for info in runs if info.id == best), differences[best])
    verdicts = {id: _judge(difference) for id, difference in differences.items()}
    ranked = sorted([run.info, *runs], key=lambda info: -(info.val_accuracy or 0.0))
    runs_table(ranked, settings, name=BACKBONES, column=("Compared with this run", verdicts))
    st.caption(
        "The same head and recipe on each frozen backbone, at its own input size, on the same "
        "validation images. The verdict counts on which images the two runs differ (McNemar's "
        "exact test)."
    )


def _judge(difference: Difference) -> str:
    return f"{difference.verdict} ({signed_points(difference.value)})"


def _draw_best(run: Run, best: RunInfo, difference: Difference) -> None:
    """Say whether another backbone is better; if it may be, its run is opened by a button."""
    name = backbone = best.config.backbone
    if run.info.config.fine_tune_epochs:  # which the others are not
        name += " without fine-tuning"
    if difference.value <= 0:
        st.markdown(f"**Keep {run.info.config.backbone}**: the best other is {name}, "
                    f"{_judge(difference)}.")  # fmt: skip
        return
    change, is_clear = signed_points(difference.value), difference.verdict is Verdict.BETTER
    words = f"is better**: {change}" if is_clear else f"may be better**: {change}, no clear change"
    st.markdown(f"**{name} {words} on the same images.")
    st.button(f"Use {backbone}", icon=":material/check:", key="use-backbone", on_click=choose,
              args=(Choice.RUN, best.id))  # fmt: skip


def _list_heads(run: Run, settings: Settings) -> dict[RunConfig, RunInfo | None]:
    """Return the recipe for each backbone with its newest run on the same images.

    A fine-tuned run is compared with heads alone, its own backbone among them.
    """
    own = run.info.config
    alone: dict[str, Any] = {
        "unfreeze_from": "",
        "fine_tune_epochs": 0,
        "fine_tune_learning_rate": 0.0,
        "epochs": own.epochs or RunConfig(dataset="").epochs,
        "random_weights": False,
    }
    available = [row.backbone.name for row in list_weights(settings) if row.no_top is not None]
    names = [name for name in available if name != own.backbone][:MOST]
    recipes = [replace(own, backbone=name, size=0, **alone) for name in names]
    if own.fine_tune_epochs and own.backbone in available:
        recipes.append(replace(own, **alone))
    images = ("", run.info.data_hash)  # a queued run has none yet
    infos = [i for i in list_runs(settings) if i.data_hash in images and i.id != run.info.id]
    newest = {info.config: info for info in reversed(infos)}
    return {recipe: newest.get(recipe) for recipe in recipes}


# Name → title, what it answers, task of the inference worker, and what draws its result.
STUDIES: Mapping[str, tuple[str, str, str, Callable[[Any, Run, Settings], None]]] = {
    "learning-curve": (
        "Learning curve",
        "accuracy with fewer images, five draws each, all with the same number of steps. Where it "
        "still rises, more images help.",
        "tlcore.training.studies:compute_learning_curve",
        _draw_learning_curve,
    ),
    "cross-validation": (
        "Cross-validation",
        "accuracy on five different splits of the same images: how much depends on the split.",
        "tlcore.training.studies:cross_validate",
        _draw_folds,
    ),
    "learning-rate": (
        "Learning-rate finder",
        "the loss while the learning rate rises; the middle of its fall is a good rate.",
        "tlcore.training.studies:find_learning_rate",
        _draw_run_scan,
    ),
}
