"""Two runs on the same images: what changed sides, and what that is worth."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from tlcore.datasets.dataset import SPLIT_NAMES
from tlcore.evaluation.comparison import ChangedPrediction, RunComparison, compare_runs
from tlcore.evaluation.corrections import corrected_run, current_labels
from tlcore.evaluation.predictions import common_split
from tlcore.percentages import signed, signed_points
from tlcore.settings import Settings
from tlcore.training.run import Run, RunInfo, label_runs
from tlcore.training.store import list_runs
from tlcore.ui.components.dataset_picker import tiles
from tlcore.ui.components.run_picker import trained_heads
from tlcore.ui.evaluation.metrics import Named, chart, shares
from tlcore.ui.format import count, label, plain
from tlcore.ui.questions import predict_run_split
from tlcore.ui.theme import colours, template
from tlcore.ui.widgets import distinct

FACES = 24  # images of a side that are shown


def comparison_view(run: Run, settings: Settings) -> None:
    """Hold a run against an earlier or a later one."""
    others = trained_heads(settings)
    others.pop(run.info.id, None)
    if not others:
        st.info(
            "There is no other run with a network yet. Correct labels under “Mistakes” and run "
            "it again, or start another run.",
            icon=":material/compare_arrows:",
        )
        return
    before = corrected_run(run.info)
    same = [run_ for run_, info in others.items() if info.config.dataset == run.info.config.dataset]
    options = list(dict.fromkeys([*([before] if before in others else []), *same, *others]))
    labels = label_runs(list_runs(settings))
    if before in others:
        labels[before] += ", before the corrections"
    other = st.selectbox(
        "Against",
        options,
        format_func=distinct(options, labels.__getitem__),
        key=f"against-{run.info.id}",
    )
    _compare(run.info, others[other], settings)


def _compare(info: RunInfo, other: RunInfo, settings: Settings) -> None:
    first, second = sorted((info, other), key=lambda each: each.id)
    part = common_split([first.id, second.id], settings)
    labels = current_labels(second, settings)
    found = compare_runs(
        predict_run_split(first.id, part, settings),
        predict_run_split(second.id, part, settings),
        labels,
    )
    change = found.difference
    st.markdown(plain(found.sentence))
    left, right = st.columns([8, 4], gap="large", vertical_alignment="center")
    with left:
        tone = colours()
        rows = [
            Named("the earlier run", change.first, tone.frozen),
            Named("the later run", change.second, tone.head),
        ]
        chart(shares(rows, tone, template()), "versus", "Accuracy of both runs")
    with right:
        st.metric(
            f"Change on the {SPLIT_NAMES[part]} part",
            signed_points(change.value),
            help="In percentage points, with its 95% interval for two answers to the same "
            "images (Newcombe, 1998, and Clopper and Pearson, 1934, the wider of both at each "
            "end). It leaves out 0 exactly where McNemar's exact test has p below 0.05.",
        )
        interval = f"{signed(change.low)} to {signed(change.high)}"
        st.caption(f"{interval}, {count(found.images, 'image')}: {change.verdict}")
    whose = "those of the later run" if labels is None else "as they stand now"
    st.caption(f"Both are judged by the labels {whose}{_differing(found)}.")
    _sides("Changed for the better", found.gained, "gained", settings)
    _sides("Changed for the worse", found.lost, "lost", settings)


def _differing(found: RunComparison) -> str:
    words = ""
    if found.relabelled:
        words += f"; {count(found.relabelled, 'image')} of these had another label before"
    if found.left_out:
        words += (
            f". {count(found.left_out, 'image')} left out: judged by one of the runs only, or "
            "excluded since"
        )
    return words


def _sides(title: str, sides: Sequence[ChangedPrediction], key: str, settings: Settings) -> None:
    if not sides:
        return
    st.markdown(f"**{title}: {count(len(sides), 'image')}**")
    st.html(tiles(key, [side.sample for side in sides[:FACES]], settings, side=88, rows=2))
    first = sides[0]
    st.caption(
        f"The first: labelled {plain(label(first.sample.label))}, was called "
        f"{plain(label(first.before))}, is now called {plain(label(first.after))}."
    )
