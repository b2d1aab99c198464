"""Labels that are probably wrong, the most suspect first, and their repair."""

from __future__ import annotations

import streamlit as st

from tlcore.datasets.dataset import SPLIT_NAMES
from tlcore.evaluation.corrections import drop_confirmed, load_run_dataset
from tlcore.evaluation.label_issues import FOLDS, LabelIssue, LabelIssues
from tlcore.percentages import probability
from tlcore.settings import Settings
from tlcore.training.run import Run
from tlcore.ui.evaluation.mistakes import images
from tlcore.ui.format import count, label, plain
from tlcore.ui.services import inference
from tlcore.ui.widgets import distinct

TASK = "tlcore.evaluation.label_issues:find_label_issues"
MORE = 24  # images shown beyond those that are doubted


def label_issues_view(run: Run, settings: Settings) -> None:
    """Rank the labels of the training and validation part by how little a head believes them."""
    with st.spinner("Training heads that have not seen the image they judge …"):
        found = _suspects(run.info.id, run.info.data_hash, settings)
    found = drop_confirmed(found, load_run_dataset(run.info, settings))
    if found.shortage:
        st.info(plain(found.shortage), icon=":material/info:")
    if not found.ranking:
        return
    parts = ["train", "val"]
    part = st.segmented_control(
        "Part", parts, default="train", required=True, key=f"suspects-{run.info.id}",
        format_func=distinct(parts, lambda part: f"The {SPLIT_NAMES[part]} part"),
        label_visibility="collapsed",
    )  # fmt: skip
    ranking = [each for each in found.ranking if each.sample.split == part]
    doubted = [each for each in ranking if each.likely_wrong]
    _said(doubted, ranking, found)
    more = st.toggle(f"Show the next {MORE} as well", key="suspects-more", value=not doubted)
    shown = ranking[: len(doubted) + MORE] if more else doubted
    if not shown:
        return
    by_key = {each.sample.key: each for each in shown}
    images(
        run,
        f"suspects-{run.info.id}-{part}",
        [each.sample for each in shown],
        lambda sample: _told(by_key[sample.key]),
        settings,
    )


@st.cache_data(show_spinner=False, max_entries=16)
def _suspects(run: str, data: str, _settings: Settings) -> LabelIssues:
    found: LabelIssues = inference(_settings).ask(TASK, run)
    return found


def _said(doubted: list[LabelIssue], ranking: list[LabelIssue], found: LabelIssues) -> None:
    number = f"**{count(len(doubted), 'label')} of {len(ranking):,} may be wrong**"
    if not doubted:
        number = f"**None of {count(len(ranking), 'label')} is doubted**"
    st.markdown(
        f"{number}, the most suspect first.",
        help=f"Each image is judged by heads that learned from the others ({FOLDS} parts, on "
        "the frozen network's features). A label is doubted where another class is likelier "
        f"than that class usually is. {found.method}.",
    )


def _told(each: LabelIssue) -> str:
    own, other = label(each.sample.label), label(each.suggested)
    return (
        f"Labelled {own}; unseen, the head gives {own} "
        f"{probability(each.label_probability)} and {other} "
        f"{probability(each.suggested_probability)}"
    )
