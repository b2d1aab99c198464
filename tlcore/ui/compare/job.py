"""Many pictures, asked in chunks, so that there is progress to see and a stop that works."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

import streamlit as st

from tlcore.datasets.dataset import Sample
from tlcore.models.answers import NetworkRef
from tlcore.models.brief import Brief
from tlcore.settings import Settings
from tlcore.ui.services import inference
from tlcore.ui.shell import boundary
from tlcore.ui.words import count, duration

CHUNK, MOST = 32, 256  # pictures a question, at first and at most
SPELL = 2.0  # s that a question should take, as fast as the last ones went: a stop waits for one
BREATH = 0.2  # s between two chunks: the page takes clicks then
SLOT = "_many-job"

Key = tuple[object, ...]


@dataclass
class Job:
    """What is asked, and what has come back so far. Lives in the session; small."""

    key: Key  # of what was asked: another question makes another job
    samples: list[Sample]
    refs: list[NetworkRef]
    rows: list[tuple[Brief, ...] | str] = field(default_factory=list)
    stopped: bool = False
    seconds: float = 0.0

    @property
    def over(self) -> bool:
        return self.stopped or len(self.rows) == len(self.samples)

    @property
    def chunk(self) -> int:
        """How many pictures to ask next."""
        if not self.seconds:
            return CHUNK
        return min(MOST, max(CHUNK, int(SPELL * len(self.rows) / self.seconds) // CHUNK * CHUNK))

    @property
    def answered(self) -> list[tuple[Sample, tuple[Brief, ...]]]:
        """The pictures that could be read, with every network's short answer."""
        pairs = zip(self.samples, self.rows, strict=False)
        return [(sample, row) for sample, row in pairs if isinstance(row, tuple)]

    @property
    def refused(self) -> list[str]:
        return [row for row in self.rows if isinstance(row, str)]


def current_job(key: Key) -> Job | None:
    """The job of this question, if it has been started in this session."""
    job = st.session_state.get(SLOT)
    return job if isinstance(job, Job) and job.key == key else None


def start_job(key: Key, samples: list[Sample], refs: list[NetworkRef]) -> None:
    st.session_state[SLOT] = Job(key, samples, refs)


def work_on(job: Job, settings: Settings) -> None:
    """Ask one chunk, show how far it is, and come again until all is answered."""
    st.fragment(_work, run_every=BREATH)(job, settings)


def _work(job: Job, settings: Settings) -> None:
    with boundary():
        bar, stop = st.columns([5, 1], vertical_alignment="center")
        stop.button("Stop", icon=":material/stop:", key="many-stop", on_click=_stop, args=(job,))
        place = bar.empty()
        _show(place, job)
        if not job.over:
            _ask_next(job, settings)
            _show(place, job)
        if job.over:
            st.rerun()


def _ask_next(job: Job, settings: Settings) -> None:
    done = len(job.rows)
    part = job.samples[done : done + job.chunk]
    start = time.monotonic()
    rows = inference(settings).predict_many([sample.path for sample in part], job.refs)
    job.seconds += time.monotonic() - start
    if len(job.rows) == done:  # nobody else has asked the same meanwhile
        job.rows += rows


def _stop(job: Job) -> None:
    job.stopped = True


def _show(place: st.delta_generator.DeltaGenerator, job: Job) -> None:
    done, whole = len(job.rows), len(job.samples)
    left = f" · about {duration(job.seconds * (whole - done) / done)} left" if done else " …"
    place.progress(done / whole, text=f"{done:,} of {count(whole, 'picture')}{left}")
