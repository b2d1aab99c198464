"""Labels that are probably wrong, the least plausible first, and their correction."""

from __future__ import annotations

from functools import partial

import streamlit as st

from tlcore.datasets.edits import relabel_each
from tlcore.evaluation.corrections import drop_confirmed, load_run_dataset
from tlcore.evaluation.label_issues import FOLDS, LabelIssue, load_label_issues
from tlcore.jobs import read_job
from tlcore.percentages import probability
from tlcore.settings import Settings
from tlcore.training.run import Run
from tlcore.training.store import evaluation_job
from tlcore.ui.components.live import live
from tlcore.ui.evaluation.image_detail import selectable_images
from tlcore.ui.evaluation.metrics import select_split
from tlcore.ui.format import escape_md, label, plural
from tlcore.ui.inference_requests import ask
from tlcore.ui.shell import act_button

TASK = "tlcore.evaluation.label_issues:find_label_issues"
MORE = 24  # images drawn beyond the doubted ones


def label_issues_view(run: Run, settings: Settings) -> None:
    """Rank the labels of the training or validation split by how much a head doubts them."""
    words = "Cross-validating the head on all images …"
    issues = load_label_issues(run.info.id, settings)
    if issues is None and _is_computing(run.info.id, settings):
        live(partial(_is_computing, run.info.id, settings), partial(_draw_waiting, words))
        return
    issues = issues or ask(TASK, run.info.id, settings=settings, words=words)
    issues = drop_confirmed(issues, load_run_dataset(run.info, settings))
    if issues.shortage:
        st.info(escape_md(issues.shortage), icon=":material/info:")
    if not issues.ranking:
        return
    split = select_split(("train", "val"), f"label-issues-{run.info.id}")
    ranking = [issue for issue in issues.ranking if issue.sample.split == split]
    doubted = [issue for issue in ranking if issue.likely_wrong]
    words = f"**{plural(len(doubted), 'label')} of {len(ranking):,} may be wrong**"
    if not doubted:
        words = f"**None of {plural(len(ranking), 'label')} is doubted**"
    st.markdown(
        f"{words}, the least plausible first.",
        help=f"Each image is classified by heads trained without it ({FOLDS}-fold "
        "cross-validation on the frozen backbone's features). A label is doubted where another "
        "class is more probable than it is for that class's own images on average. "
        f"{issues.method}.",
    )
    more = st.toggle(f"Show the next {MORE} as well", key="label-issues-more", value=not doubted)
    shown = ranking[: len(doubted) + MORE] if more else doubted
    titles = {issue.sample.key: _describe(issue) for issue in shown}
    samples = [issue.sample for issue in shown]
    name = f"label-issues-{run.info.id}-{split}"
    captions = {
        issue.sample.key: label(issue.sample.label)
        + (f" → {label(issue.suggested)}?" if issue.likely_wrong else "")
        for issue in shown
    }
    state = load_run_dataset(run.info, settings)
    suggested = {
        i.sample.key: i.suggested for i in doubted if state and i.sample.key in state.by_key
    }
    if state and suggested:
        act_button(
            f"Accept all {len(suggested):,} suggestions" if len(suggested) > 1 else "Accept it",
            partial(relabel_each, state.name, suggested, settings),
            key="accept-suggestions",
            icon=":material/done_all:",
            help="Gives each doubted image the label behind its arrow. Undo reverts all of it.",
        )
    selectable_images(run, name, samples, titles, settings, captions=captions)


def _is_computing(run: str, settings: Settings) -> bool:
    """Whether the job that follows each run is at work."""
    job = read_job(evaluation_job(run, settings))
    return job is not None and job.is_running


def _draw_waiting(words: str) -> None:
    st.caption(f":material/hourglass_top: {words} It goes on while you look at something else.")


def _describe(issue: LabelIssue) -> str:
    own, other = label(issue.sample.label), label(issue.suggested)
    return (
        f"Labelled {own}; a head trained without it predicts {other} with "
        f"{probability(issue.suggested_probability)}, {own} with "
        f"{probability(issue.label_probability)}"
    )
