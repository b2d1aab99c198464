"""Predictions for many images, asked in chunks, with progress to see and a stop that works.

They are kept in the session under the content of the image and the model that answered, so that
a relabelled image shows its present label without another question, and an exchanged image, a
resumed run or a further head asks for just what is new.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from tlcore.datasets.dataset import Dataset, Sample
from tlcore.datasets.sample import dataset_title
from tlcore.evaluation.batch_table import (
    BatchHead,
    Score,
    build_batch_table,
    compute_agreement,
    compute_baseline_score,
    compute_head_score,
    count_pairs,
    fit_batch_baseline,
)
from tlcore.evaluation.evaluation import ImageNetBaseline, unlabelled_note
from tlcore.evaluation.intervals import proportion_of
from tlcore.evaluation.predictions import is_unchanged
from tlcore.models.predictions import BriefPrediction, ModelRef
from tlcore.settings import Settings
from tlcore.text import csv_cell
from tlcore.training.provenance import Splits, find_splits, list_samples, read_classes
from tlcore.training.run import RunInfo, label_runs
from tlcore.training.store import list_runs
from tlcore.ui.compare.sides import Sides
from tlcore.ui.components.charts import PLAIN_CHART
from tlcore.ui.components.dataset_picker import tiles
from tlcore.ui.format import count, duration, label, plain
from tlcore.ui.services import inference
from tlcore.ui.shell import boundary
from tlcore.ui.state import Choice, choose
from tlcore.ui.theme import Colours, colours, template
from tlcore.ui.widgets import distinct

CHUNK, MOST = 32, 256  # images a question, at first and at most
SPELL = 2.0  # s that a question should take, as fast as the last ones went: a stop waits for one
BREATH = 0.2  # s between two chunks: the page takes clicks then
SLOT = "_many-job"


@dataclass(frozen=True)
class Question:
    """Which images, and whom to ask about them."""

    what: str  # which images of the dataset
    refs: tuple[ModelRef, ...]
    samples: Sequence[Sample] = field(compare=False)  # as the dataset stands


@dataclass
class Job:
    """What has been predicted for one dataset's images. Lives in the session; small."""

    dataset: str  # its name
    briefs: dict[tuple[str, ModelRef], BriefPrediction] = field(
        default_factory=dict
    )  # by sha256 and model
    refused: dict[str, str] = field(default_factory=dict)  # why an image has none, by sha256
    question: Question | None = None  # that is being answered
    stopped: Question | None = None  # that was stopped
    seconds: float = 0.0  # spent waiting for the networks, in all
    asked: int = 0  # images in all

    @property
    def chunk(self) -> int:
        """How many images to ask next."""
        if not self.seconds:
            return CHUNK
        return min(MOST, max(CHUNK, int(SPELL * self.asked / self.seconds) // CHUNK * CHUNK))

    def missing(self, question: Question) -> list[Sample]:
        """Return the images that some network has not been asked about yet."""
        return [sample for sample in question.samples if self.lacking(sample, question)]

    def lacking(self, sample: Sample, question: Question) -> tuple[ModelRef, ...]:
        """Return the networks that have not been asked about an image yet."""
        if sample.sha256 in self.refused:
            return ()
        return tuple(ref for ref in question.refs if (sample.sha256, ref) not in self.briefs)

    def answered(self, question: Question) -> list[tuple[Sample, tuple[BriefPrediction, ...]]]:
        """Return the images that all these networks have answered, with their short answers."""
        return [
            (sample, tuple(self.briefs[sample.sha256, ref] for ref in question.refs))
            for sample in question.samples
            if all((sample.sha256, ref) in self.briefs for ref in question.refs)
        ]


def job_of(dataset: str) -> Job:
    """Return what this session has asked about a dataset; of another one it is let go."""
    job = st.session_state.get(SLOT)
    if not isinstance(job, Job) or job.dataset != dataset:
        job = st.session_state[SLOT] = Job(dataset)
    return job


def start(job: Job, question: Question) -> None:
    job.question, job.stopped = question, None


def work_on(job: Job, question: Question, settings: Settings) -> None:
    """Ask one chunk, show how far it is, and come again until all is answered."""
    st.fragment(_work, run_every=BREATH)(job, question, settings)


def _work(job: Job, question: Question, settings: Settings) -> None:
    with boundary():
        bar, stop = st.columns([5, 1], vertical_alignment="center")
        stop.button("Stop", icon=":material/stop:", key="many-stop", on_click=_stop, args=(job,))
        place = bar.empty()
        _show(place, job, question)
        if job.question and job.missing(question):
            _ask_next(job, question, settings)
            _show(place, job, question)
        if not job.question or not job.missing(question):
            job.question = None
            st.rerun()


def _ask_next(job: Job, question: Question, settings: Settings) -> None:
    """Ask about the next images; together those that the same networks have not answered."""
    missing = job.missing(question)
    lacking = job.lacking(missing[0], question)
    part = [sample for sample in missing if job.lacking(sample, question) == lacking][: job.chunk]
    here = [sample for sample in part if is_unchanged(sample)]
    began = time.monotonic()
    rows = _predict([s.path for s in here], lacking, settings) if here else []
    job.seconds += time.monotonic() - began
    job.asked += len(here)
    for sample in set(part) - set(here):
        job.refused[sample.sha256] = (
            f"{sample.file}: Expected the image as it came into its dataset. Received another "
            "one under its name, or none. Add it again on the Upload page."
        )
    for sample, row in zip(here, rows, strict=True):
        if isinstance(row, str):
            job.refused[sample.sha256] = row
        else:
            job.briefs |= {(sample.sha256, r): b for r, b in zip(lacking, row, strict=True)}


def _predict(
    paths: Sequence[Path], refs: Sequence[ModelRef], settings: Settings
) -> list[tuple[BriefPrediction, ...] | str]:
    rows: list[tuple[BriefPrediction, ...] | str]
    rows = inference(settings).ask("predict_batch", paths, refs)
    return rows


def _stop(job: Job) -> None:
    job.question, job.stopped = None, job.question


def _show(place: st.delta_generator.DeltaGenerator, job: Job, question: Question) -> None:
    whole, missing = len(question.samples), len(job.missing(question))
    left = " …"
    if job.asked and missing:
        left = f" · about {duration(job.seconds * missing / job.asked)} left"
    done = whole - missing
    place.progress(done / whole, text=f"{done:,} of {count(whole, 'image')}{left}")


# What ImageNet says against the labels, or against a head, as a heat map of counts.


CELL = 30  # px of a row


def heat_map_view(frame: pd.DataFrame) -> None:
    against = "head" if "head" in frame else "label"
    whose = "your head's answer" if against == "head" else "the label"
    st.markdown(f"**What ImageNet says, against {whose}**")
    rows_of = {"imagenet": "Classes", "group": "Groups"}
    what = st.segmented_control(
        "Rows",
        list(rows_of),
        default="imagenet",
        format_func=distinct(rows_of, rows_of.__getitem__),
        label_visibility="collapsed",
        required=True,
        key="many-rows",
    )
    rows, columns, counts = count_pairs(frame, what, against)
    figure = heat_map(rows, columns, counts, colours(), template())
    st.plotly_chart(figure, theme=None, key="many-heat", config=PLAIN_CHART, alt="Heat map")


def heat_map(
    rows: list[str],
    columns: list[str],
    counts: np.ndarray,
    tone: Colours,
    look: go.layout.Template,
) -> go.Figure:
    """Counts as cells from the ground's colour to the pretrained network's, the number in each."""
    figure = go.Figure(layout={"template": look})
    figure.add_heatmap(
        z=counts,
        x=[label(name) for name in columns],
        y=rows,
        text=[[str(number) if number else "" for number in row] for row in counts],
        texttemplate="%{text}",
        colorscale=[[0, tone.line], [1, tone.pretrained]],
        showscale=False,
        xgap=2,
        ygap=2,
        hovertemplate="%{y} and %{x}: %{z}<extra></extra>",
    )
    figure.update_yaxes(autorange="reversed", automargin=True, showgrid=False)
    figure.update_xaxes(side="top", automargin=True, showgrid=False)
    figure.update_layout(height=CELL * len(rows) + 60)
    return figure


# Many images: both sides' answers to a class, a part or a whole dataset.


ALL, TRAIN, VAL = "/all", "/train", "/val"  # no class is called so
WORDS = {ALL: "all of it", TRAIN: "its training part", VAL: "its validation part"}
REASONS = 5  # images that have no answer, named
FACES = 12  # images on which the sides disagree most, shown
ROWS_KEY = "many-table"


def many_view(dataset: Dataset, sides: Sides, settings: Settings) -> None:
    """Choose what to answer, answer what is not answered yet, and show what came of it."""
    if not sides.networks:
        return
    run = sides.runs[0] if sides.runs else None
    parts = find_splits(dataset, run) if len(dataset.classes) > 1 else {}
    samples, what = _which(dataset, parts)
    refs: tuple[ModelRef, ...] = (sides.networks[0], *(info.ref for info in sides.runs))
    job, question = job_of(dataset.name), Question(what, refs, samples)
    missing = job.missing(question)
    if missing and job.question == question:
        work_on(job, question, settings)
        return
    answered = job.answered(question)
    if missing:
        _offer(job, question, len(missing), len(samples))
    for reason in [job.refused[s.sha256] for s in samples if s.sha256 in job.refused][:REASONS]:
        st.caption(f":material/warning: {plain(reason)}")
    if answered:
        baseline = _baseline(job, dataset, refs[0], parts)
        heads = [_head(info, settings) for info in sides.runs]
        _results(job, build_batch_table(answered, heads, baseline, parts), heads, dataset, settings)


def _offer(job: Job, question: Question, missing: int, whole: int) -> None:
    """A button that answers what is missing; of a part, beside what has been answered."""
    if job.stopped == question:
        behind = f"Stopped after {whole - missing:,} of {count(whole, 'image')}."
        st.info(behind, icon=":material/stop:")
    words = f"Answer {count(missing, 'image')}"
    if missing < whole:
        words = f"Answer the other {missing:,} of {count(whole, 'image')}"
    if st.button(words, type="primary", icon=":material/play_arrow:", key="many-start"):
        start(job, question)
        st.rerun()


def _baseline(
    job: Job, dataset: Dataset, imagenet: ModelRef, parts: Splits
) -> ImageNetBaseline | None:
    """What ImageNet's classes stand for; None until all of the training part is answered."""
    train = [sample for sample in _once(dataset) if parts.get(sample.sha256) == "train"]
    counted = Question(TRAIN, (imagenet,), train)
    return None if job.missing(counted) else fit_batch_baseline(job.answered(counted), parts)


def _head(info: RunInfo, settings: Settings) -> BatchHead:
    learned = frozenset(sample.sha256 for sample in list_samples(info, "train"))
    return BatchHead(label_runs(list_runs(settings))[info.id], read_classes(info), learned)


def _once(dataset: Dataset) -> list[Sample]:
    """Return the images of a dataset, of copies the first."""
    once = {sample.sha256: sample for sample in reversed(dataset.samples)}
    return sorted(once.values(), key=lambda sample: sample.file)


def _which(dataset: Dataset, parts: Splits) -> tuple[list[Sample], str]:
    samples = _once(dataset)
    of_part = {TRAIN: "train", VAL: "val"}
    options = [ALL, *(of_part if parts else ()), *dataset.classes]
    what = st.selectbox(
        f"Which images of “{dataset_title(dataset.name)}”",
        options,
        format_func=distinct(options, lambda name: WORDS.get(name) or label(name)),
        key=f"many-what-{dataset.name}",
    )
    if what == ALL:
        return samples, what
    if what in of_part:
        return [s for s in samples if parts.get(s.sha256) == of_part[what]], what
    return [sample for sample in samples if sample.label == what], what


def _results(
    job: Job, frame: pd.DataFrame, heads: list[BatchHead], dataset: Dataset, settings: Settings
) -> None:
    if job.asked:
        st.caption(
            f"{count(job.asked, 'image')} asked about in {duration(job.seconds)}: "
            f"{duration(job.seconds / job.asked)} each."
        )
    _figures(frame)
    _further(frame, heads)
    _faces(frame, dataset, settings)
    heat_map_view(frame)
    _table(frame, dataset)


def _figures(frame: pd.DataFrame) -> None:
    """The baseline beside the head, each with its doubt, and how often they agree."""
    base, head = compute_baseline_score(frame), compute_head_score(frame)
    left, middle, right = st.columns(3, gap="medium")
    with left:
        if base.images and frame["imagenet_as_label"].notna().any():
            _score(
                ":blue[●] ImageNet alone, no head",
                base,
                "Each ImageNet class stands for the label it most often goes with in the training "
                "part, a class not met there for the label of its group (dogs, birds, vehicles "
                "…); judged on the validation part.",
            )
            if base.unlabelled:
                st.caption(f"{unlabelled_note(base.unlabelled)}.")
        elif frame["label"].isna().all():
            st.caption("These images have no label: nobody can know which answers are right.")
        else:
            st.caption("Answer all of the dataset to see how far ImageNet's classes alone come.")
    with middle:
        if head.images:
            _score(":orange[●] Your own head", head)
        elif "head" in frame and base.images:
            st.caption(
                "Your own head is not judged here: it has learned from these images, or does "
                "not know their classes."
            )
    with right:
        both = compute_agreement(frame)
        if both.images:
            st.metric("They agree on", proportion_of(both.correct, both.images).short_text)
            st.caption(
                f"of {both.images:,} of {count(len(frame), 'image')}: those for which ImageNet's "
                "class stands for one of the head's classes"
            )


def _score(title: str, score: Score, words: str = "") -> None:
    st.metric(title, proportion_of(score.correct, score.images).short_text, help=words or None)
    st.caption(
        f"of {count(score.images, 'labelled image')} of the validation part that it has not "
        "learned from"
    )


def _further(frame: pd.DataFrame, heads: list[BatchHead]) -> None:
    """The other heads' accuracies, where there are several."""
    for number, head in enumerate(heads[1:], start=2):
        score = compute_head_score(frame, number)
        if score.images:
            st.caption(
                f":orange[●] Head {number}, {plain(head.title)}: "
                f"{proportion_of(score.correct, score.images).text} of the validation part"
            )


def _faces(frame: pd.DataFrame, dataset: Dataset, settings: Settings) -> None:
    """The images on which the two are surest and say different things."""
    if "disagreement" not in frame:
        return
    worst = frame[frame["disagreement"] > 0].head(FACES)
    if worst.empty:
        return
    by_file = {sample.file: sample for sample in dataset.samples}
    st.markdown("**Where they disagree most**")
    samples = [by_file[name] for name in worst["file"]]
    st.html(tiles("disagree", samples, settings, side=88, rows=2))


def _table(frame: pd.DataFrame, dataset: Dataset) -> None:
    name = dataset.name
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown("**Every image**")
        csv = frame.map(csv_cell).to_csv(index=False).encode()
        rows = frame.to_json(orient="records", indent=1).encode()
        icon = ":material/download:"
        st.download_button("CSV", csv, f"{name} answers.csv", "text/csv", icon=icon)
        st.download_button("JSON", rows, f"{name} answers.json", "application/json", icon=icon)
    shares = {
        column: st.column_config.ProgressColumn(title, format="percent", min_value=0, max_value=1)
        for column, title in (
            ("imagenet_probability", "ImageNet's share"),
            ("head_probability", "Head's share"),
            ("disagreement", "Disagreement"),
        )
    }
    order = ("file", "label", "imagenet", "imagenet_probability", "head", "head_probability",
             "head_correct", "agree", "disagreement", "group", "split")  # fmt: skip
    further = [name for name in map(str, frame) if name.startswith("head ")]
    further = [name for name in further if "learned" not in name]
    st.caption("Choose a row, and its image is shown above.")

    def open_image() -> None:
        for place in st.session_state[ROWS_KEY].selection.rows:
            choose(Choice.IMAGE, by_file[frame["file"].iloc[place]])

    by_file = {sample.file: sample.sha256 for sample in dataset.samples}
    st.dataframe(
        frame,
        key=ROWS_KEY,
        on_select=open_image,
        selection_mode="single-row",
        hide_index=True,
        height=420,
        column_order=[*(column for column in order if column in frame), *further],
        column_config={
            "file": "Image",
            "label": "Label",
            "imagenet": "ImageNet says",
            "head": "Your head says",
            "head_correct": "Right",
            "agree": "Agree",
            "group": "Group",
            "split": "Split",
            **shares,
        },
    )
