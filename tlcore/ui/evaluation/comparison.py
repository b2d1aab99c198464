"""Two runs on the same images: which predictions changed, and whether that is more than chance."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from tlcore.datasets.dataset import SPLIT_NAMES
from tlcore.evaluation.comparison import ChangedPrediction, RunComparison, compare_runs
from tlcore.evaluation.corrections import corrected_run, current_labels
from tlcore.evaluation.split_predictions import common_split
from tlcore.percentages import signed, signed_points
from tlcore.settings import Settings
from tlcore.text import shorten
from tlcore.training.run import Run, RunInfo, label_runs
from tlcore.training.store import list_runs
from tlcore.ui.components.charts import accuracy_bars, draw_chart
from tlcore.ui.components.image_grid import GridImage, image_grid
from tlcore.ui.components.run_picker import trained_heads
from tlcore.ui.format import escape_md, label, plural
from tlcore.ui.inference_requests import predict_run_split
from tlcore.ui.theme import colours
from tlcore.ui.widgets import unique_labels

NARROW = 26  # characters of a name beside its number on a phone
SHOWN = 24  # changed images at most, of each kind


def comparison_view(run: Run, settings: Settings) -> None:
    """Compare a run with another; the run that it corrects comes first."""
    others = trained_heads(settings)
    others.pop(run.info.id, None)
    if not others:
        st.info(
            "There is no other run with a model yet. Correct labels under “Mistakes” and run "
            "again, or start another run.",
            icon=":material/compare_arrows:",
        )
        return
    before = corrected_run(run.info)
    dataset = run.info.config.dataset
    same = [id for id, info in others.items() if info.config.dataset == dataset]
    options = list(dict.fromkeys([*([before] if before in others else []), *same, *others]))
    labels = label_runs(list_runs(settings))
    if before in others:
        labels[before] += ", before the corrections"
    other = st.selectbox(
        "Compare with",
        options,
        format_func=unique_labels(options, labels.__getitem__),
        key=f"compare-with-{run.info.id}",
    )
    name = label_runs(list_runs(settings), accuracy=False)[other]
    _draw_comparison(run.info, others[other], name, settings)


def _draw_comparison(info: RunInfo, other: RunInfo, name: str, settings: Settings) -> None:
    """Draw this run beside another of this name, which is the measure."""
    split = common_split([other.id, info.id], settings)
    labels = current_labels(info, settings)
    before, after = (predict_run_split(each.id, split, settings) for each in (other, info))
    comparison = compare_runs(before, after, labels)
    difference, tone = comparison.difference, colours()
    st.markdown(escape_md(comparison.sentence(f"“{name}”", "this run")))
    left, right = st.columns([8, 4], gap="large", vertical_alignment="center")
    with left:
        rows = [
            (shorten(name, NARROW), difference.first, tone.frozen),
            ("This run", difference.second, tone.head),
        ]
        draw_chart(accuracy_bars(rows), "comparison", "Accuracy of both runs")
    with right:
        st.metric(
            f"Change on the {SPLIT_NAMES[split]} split",
            signed_points(difference.value),
            help="In percentage points, with its 95% interval for paired predictions (Newcombe, "
            "1998, and Clopper and Pearson, 1934, the wider of both at each end). It leaves out "
            "0 exactly where McNemar's exact test has p below 0.05.",
        )
        interval = f"{signed(difference.low)} to {signed(difference.high)}"
        st.caption(
            f"95% interval {interval}, {plural(comparison.images, 'image')}: {difference.verdict}"
        )
    whose = "of this run" if labels is None else "as they are now"
    st.caption(f"Both runs are evaluated by the labels {whose}{_exceptions(comparison)}.")
    _draw_changed("Only this run is right", comparison.gained, "gained", settings)
    _draw_changed(f"Only “{name}” is right", comparison.lost, "lost", settings)


def _exceptions(comparison: RunComparison) -> str:
    words, gone = "", comparison.left_out
    if comparison.relabelled:
        words = f"; {plural(comparison.relabelled, 'image')} of them had another label then"
    if gone:
        why = "in the split of one run only, or excluded since"
        words += f". {plural(gone, 'image')} left out: {why}"
    return words


def _draw_changed(
    title: str, changed: Sequence[ChangedPrediction], key: str, settings: Settings
) -> None:
    if not changed:
        return
    st.markdown(f"**{escape_md(title)}: {plural(len(changed), 'image')}**")
    images = []
    for each in changed[:SHOWN]:
        caption = f"{label(each.before)} → {label(each.after)}"
        images.append(GridImage(each.sample.key, each.sample, each.sample.file, caption))
    image_grid(images, settings, key=f"changed-{key}", size=88)
