"""Predictions for many images, asked in chunks, with progress to see and a stop that works.

They are kept in the session under the content of the image and the model that answered, so that
a relabelled image shows its present label without another question, and an exchanged image, a
resumed run or a further head asks for just what is new.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import streamlit as st

from tlcore.datasets.dataset import Sample
from tlcore.evaluation.predictions import is_unchanged
from tlcore.models.answers import NetworkRef
from tlcore.models.brief import Brief
from tlcore.settings import Settings
from tlcore.ui.services import inference
from tlcore.ui.shell import boundary
from tlcore.ui.words import count, duration

CHUNK, MOST = 32, 256  # images a question, at first and at most
SPELL = 2.0  # s that a question should take, as fast as the last ones went: a stop waits for one
BREATH = 0.2  # s between two chunks: the page takes clicks then
SLOT = "_many-job"


@dataclass(frozen=True)
class Question:
    """Which images, and whom to ask about them."""

    what: str  # which images of the dataset
    refs: tuple[NetworkRef, ...]
    samples: Sequence[Sample] = field(compare=False)  # as the dataset stands


@dataclass
class Job:
    """What has been predicted for one dataset's images. Lives in the session; small."""

    dataset: str  # its name
    briefs: dict[tuple[str, NetworkRef], Brief] = field(default_factory=dict)  # by sha256 and model
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

    def lacking(self, sample: Sample, question: Question) -> tuple[NetworkRef, ...]:
        """Return the networks that have not been asked about an image yet."""
        if sample.sha256 in self.refused:
            return ()
        return tuple(ref for ref in question.refs if (sample.sha256, ref) not in self.briefs)

    def answered(self, question: Question) -> list[tuple[Sample, tuple[Brief, ...]]]:
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
    rows = inference(settings).predict_many([s.path for s in here], lacking) if here else []
    job.seconds += time.monotonic() - began
    job.asked += len(here)
    for sample in set(part) - set(here):
        job.refused[sample.sha256] = (
            f"{sample.file}: Expected the picture as it came into its data set. Received another "
            "one under its name, or none. Add it again on the Upload page."
        )
    for sample, row in zip(here, rows, strict=True):
        if isinstance(row, str):
            job.refused[sample.sha256] = row
        else:
            job.briefs |= {(sample.sha256, r): b for r, b in zip(lacking, row, strict=True)}


def _stop(job: Job) -> None:
    job.question, job.stopped = None, job.question


def _show(place: st.delta_generator.DeltaGenerator, job: Job, question: Question) -> None:
    whole, missing = len(question.samples), len(job.missing(question))
    left = " …"
    if job.asked and missing:
        left = f" · about {duration(job.seconds * missing / job.asked)} left"
    done = whole - missing
    place.progress(done / whole, text=f"{done:,} of {count(whole, 'picture')}{left}")
