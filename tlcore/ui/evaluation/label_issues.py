"""Labels that are probably wrong, the least plausible first, and their correction."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from tlcore.datasets.dataset import SPLIT_NAMES
from tlcore.evaluation.corrections import drop_confirmed, load_run_dataset
from tlcore.evaluation.label_issues import FOLDS, LabelIssue, LabelIssues
from tlcore.percentages import probability
from tlcore.settings import Settings
from tlcore.training.run import Run
from tlcore.ui.evaluation.image_detail import selectable_images
from tlcore.ui.format import escape_md, label, plural
from tlcore.ui.services import inference
from tlcore.ui.widgets import unique_labels

TASK = "tlcore.evaluation.label_issues:find_label_issues"
MORE = 24  # images drawn beyond the doubted ones


def label_issues_view(run: Run, settings: Settings) -> None:
    """Rank the labels of the training or validation split by how much a head doubts them."""
    with st.spinner("Cross-validating the head on all images …"):
        issues = _label_issues(run.info.id, run.info.data_hash, settings)
    issues = drop_confirmed(issues, load_run_dataset(run.info, settings))
    if issues.shortage:
        st.info(escape_md(issues.shortage), icon=":material/info:")
    if not issues.ranking:
        return
    splits = ["train", "val"]
    split = st.segmented_control(
        "Split",
        splits,
        default="train",
        required=True,
        key=f"label-issues-{run.info.id}",
        format_func=unique_labels(splits, lambda split: f"{SPLIT_NAMES[split].capitalize()} split"),
        label_visibility="collapsed",
    )
    ranking = [issue for issue in issues.ranking if issue.sample.split == split]
    doubted = [issue for issue in ranking if issue.likely_wrong]
    _draw_count(len(doubted), len(ranking), issues.method)
    more = st.toggle(f"Show the next {MORE} as well", key="label-issues-more", value=not doubted)
    shown = ranking[: len(doubted) + MORE] if more else doubted
    _draw_images(run, f"{run.info.id}-{split}", shown, settings)


@st.cache_data(show_spinner=False, max_entries=16)
def _label_issues(run: str, data_hash: str, _settings: Settings) -> LabelIssues:
    issues: LabelIssues = inference(_settings).ask(TASK, run)
    return issues


def _draw_count(doubted: int, labels: int, method: str) -> None:
    words = f"**{plural(doubted, 'label')} of {labels:,} may be wrong**"
    if not doubted:
        words = f"**None of {plural(labels, 'label')} is doubted**"
    st.markdown(
        f"{words}, the least plausible first.",
        help=f"Each image is classified by heads trained without it ({FOLDS}-fold "
        "cross-validation on the frozen backbone's features). A label is doubted where another "
        f"class is more probable than it is for that class's own images on average. {method}.",
    )


def _draw_images(run: Run, name: str, issues: Sequence[LabelIssue], settings: Settings) -> None:
    by_key = {issue.sample.key: issue for issue in issues}
    selectable_images(
        run,
        f"label-issues-{name}",
        [issue.sample for issue in issues],
        lambda sample: _describe(by_key[sample.key]),
        settings,
    )


def _describe(issue: LabelIssue) -> str:
    own, other = label(issue.sample.label), label(issue.suggested)
    return (
        f"Labelled {own}; a head trained without it predicts {other} with "
        f"{probability(issue.suggested_probability)}, {own} with "
        f"{probability(issue.label_probability)}"
    )
