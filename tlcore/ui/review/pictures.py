"""The pictures that a view has found: chosen by a click, mended, and the last one seen large."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from tlcore.datasets.dataset import Sample
from tlcore.evaluation.again import set_of
from tlcore.settings import Settings
from tlcore.training.run import Run
from tlcore.ui.review.faces import Told, faces
from tlcore.ui.review.large import large
from tlcore.ui.review.repair import now, repair


def pictures(
    run: Run,
    place: str,
    samples: Sequence[Sample],
    words: Callable[[Sample], str],
    settings: Settings,
    *,
    chosen: Sequence[Sample] = (),
    below: DeltaGenerator | None = None,
) -> None:
    """Show thumbnails, what can be done with the chosen ones, and the last click large.

    Args:
        run: whose pictures they are.
        place: name of what is shown; another name begins with nothing chosen.
        samples: all of them, in their order.
        words: what is said of one of them.
        settings: where their set lies.
        chosen: those that count as chosen until one is clicked.
        below: where the large picture goes; without it under the thumbnails.
    """
    state = set_of(run.info, settings)
    told = {sample.key: Told(words(sample), now(sample, state)) for sample in samples}
    picked = faces(place, samples, told, settings) or list(chosen)
    repair(run, picked, settings)
    if picked:
        with below or st.container():
            large(run, picked[-1], told[picked[-1].key].whole, settings)
