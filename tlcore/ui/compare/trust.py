"""Whether a head's percentages mean what they say, measured on its validation pictures."""

from __future__ import annotations

import streamlit as st

from tlcore.datasets.splits import draw_stratified
from tlcore.models.answers import Trained
from tlcore.models.calibration import Calibration, calibration
from tlcore.percentages import points, probability
from tlcore.settings import Settings
from tlcore.training.parts import judged_by
from tlcore.training.run import RunInfo
from tlcore.training.store import load_run
from tlcore.ui.services import inference
from tlcore.ui.words import accuracy, count

MOST = 500  # validation images that are answered for it, drawn class by class


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
        drawn, whole = found.answers, len(judged_by(info))
        of = f"{drawn:,} of {whole:,} validation pictures"
        st.caption(
            f"On {of if drawn < whole else count(drawn, 'validation picture')} it was "
            f"{probability(found.confidence)} sure on average and right on "
            f"{accuracy(found.accuracy, drawn)}: {found.words}. Expected calibration error "
            f"{points(found.error)}; nothing has been corrected."
        )


@st.cache_data(show_spinner=False, max_entries=64)
def _measured(ref: Trained, _info: RunInfo, _settings: Settings) -> Calibration | None:
    samples = draw_stratified(judged_by(_info), MOST, _info.config.seed)
    classes = load_run(ref.run, _settings).classes
    answers = inference(_settings).predict_many([s.path for s in samples], [ref])
    told = [
        (answer[0].probability, classes[answer[0].index] == sample.label)
        for sample, answer in zip(samples, answers, strict=True)
        if isinstance(answer, tuple)
    ]
    return calibration([sure for sure, _ in told], [right for _, right in told]) if told else None
