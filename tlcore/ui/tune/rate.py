"""A good learning rate for the recipe of the form, put into the form."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from tlcore.settings import Settings
from tlcore.training.config import RunConfig
from tlcore.training.options import OPTIMIZERS
from tlcore.training.studies.rates import Rates, of_head
from tlcore.ui.services import inference
from tlcore.ui.shell import boundary
from tlcore.ui.tune.options import RATE
from tlcore.ui.tune.probes import Planned, pictures_of
from tlcore.ui.tune.studies import draw_rates
from tlcore.ui.words import count

ASKED = "_rate-asked"  # the recipe and images that were asked about
LOWEST, HIGHEST = 1e-7, 1.0


def offer_rate(planned: Planned, classes: Sequence[str], settings: Settings) -> None:
    """Offer to find a learning rate for a run that could be started.

    Once another recipe is chosen, the answer for the one before it is gone.
    """
    recipe = f"{of_head(planned.config)}, {classes}, {pictures_of(planned)}"
    if st.button(
        "Find a learning rate",
        icon=":material/troubleshoot:",
        type="tertiary",
        disabled=not planned.config.epochs,
        help="Lets the rate grow step by step, with all that is chosen here, and looks where the "
        "loss falls. Features that are not there yet are computed first, and kept for the run.",
    ):
        st.session_state[ASKED] = recipe
    if st.session_state.get(ASKED) == recipe and planned.config.epochs:
        with boundary():
            _show(recipe, planned, classes, settings)


def _show(recipe: str, planned: Planned, classes: Sequence[str], settings: Settings) -> None:
    with st.spinner("Computing the features that are not there yet, then training a head …"):
        found = _rates(recipe, planned, classes, settings)
    draw_rates(found, "form-rate")
    computed = f", {count(found.computed, 'feature')} computed for it" if found.computed else ""
    st.caption(f"For {_words(planned.config)}{computed}.")
    rate = min(HIGHEST, max(LOWEST, float(f"{found.suggested:.1g}")))
    st.button(f"Use {rate:g}", icon=":material/check:", on_click=_use, args=(rate,))


@st.cache_data(show_spinner=False, max_entries=50)
def _rates(recipe: str, _planned: Planned, _classes: Sequence[str], _settings: Settings) -> Rates:
    """Work it out, once for each recipe."""
    return inference(_settings).find_rate(_planned.config, _classes, _planned.train)


def _words(config: RunConfig) -> str:
    """Name the recipe that was tried."""
    optimizer = OPTIMIZERS[config.optimizer].partition(":")[0]
    balance = {"weights": ", class weights", "sampling": ", oversampling"}
    return (
        f"{config.backbone} at {config.size} × {config.size}, {optimizer}, "
        f"{config.batch_size} images a batch{balance.get(config.balance, '')}"
    )


def _use(rate: float) -> None:
    st.session_state[RATE] = rate
    st.session_state.pop(ASKED, None)
