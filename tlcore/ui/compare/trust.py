"""Whether a head's percentages mean what they say, measured on its validation pictures."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from tlcore.datasets.dataset import Sample
from tlcore.models.answers import Trained
from tlcore.models.calibration import Calibration, calibration
from tlcore.percentages import percent, points, probability
from tlcore.settings import Settings
from tlcore.training.parts import judged_by
from tlcore.training.run import RunInfo
from tlcore.training.store import load_run
from tlcore.ui.services import inference
from tlcore.ui.words import count

MOST = 500  # validation pictures that are answered for it


def trust(info: RunInfo, settings: Settings) -> None:
    """A line that can be opened; the pictures are answered when it is."""
    box = st.expander(
        "Can its percentages be trusted?", type="compact", key=f"trust-{info.id}", on_change="rerun"
    )
    if not box.open:
        return
    with box:
        with st.spinner("Answering its validation pictures …"):
            found = _measured(info.ref, info, settings)
        if found is None:
            st.caption("Not measured: its validation pictures are no longer here.")
            return
        st.caption(
            f"On {count(found.answers, 'validation picture')} it was "
            f"{probability(found.confidence)} sure on average and right on "
            f"{percent(found.accuracy)}: {found.words}. Expected calibration error "
            f"{points(found.error)}; nothing has been corrected."
        )


@st.cache_data(show_spinner=False, max_entries=64)
def _measured(ref: Trained, _info: RunInfo, _settings: Settings) -> Calibration | None:
    samples = judged_by(_info)[:MOST]
    classes = load_run(ref.run, _settings).classes
    answers = inference(_settings).predict_many([s.path for s in samples], [ref])
    return _of(samples, answers, classes)


def _of(
    samples: Sequence[Sample], answers: Sequence[object], classes: Sequence[str]
) -> Calibration | None:
    told = [
        (answer[0].probability, classes[answer[0].index] == sample.label)
        for sample, answer in zip(samples, answers, strict=True)
        if isinstance(answer, tuple)
    ]
    return calibration([sure for sure, _ in told], [right for _, right in told]) if told else None
