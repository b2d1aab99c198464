"""A good learning rate, found from the features of an earlier run and put into the form."""

from __future__ import annotations

import streamlit as st

from tlcore.settings import Settings
from tlcore.training.config import RunConfig
from tlcore.training.run import RunInfo
from tlcore.training.store import list_runs
from tlcore.training.studies.rates import Rates
from tlcore.ui.shell import boundary
from tlcore.ui.tune.options import RATE
from tlcore.ui.tune.studies import answer_of, draw_rates

ASKED = "_rate-asked"  # id of the run whose features are asked
LOWEST, HIGHEST = 1e-7, 1.0


def offer_rate(config: RunConfig, settings: Settings) -> None:
    """Offer to find a learning rate; it takes the features of a run on the same pictures."""
    run = _run_with_features(config, settings)
    asked = st.button(
        "Find a learning rate",
        icon=":material/troubleshoot:",
        type="tertiary",
        disabled=run is None,
        help="Lets the rate grow step by step, on the features of the latest run with this data "
        "set and backbone, and looks where the loss falls. "
        + ("There is none yet: start one first." if run is None else ""),
    )
    if run is None:
        return
    if asked:
        st.session_state[ASKED] = run.id
    if st.session_state.get(ASKED) == run.id:
        with boundary():
            _found(run, settings)


def _found(run: RunInfo, settings: Settings) -> None:
    with st.spinner("Training a head …"):
        found = answer_of("find_rate", run.id, settings)
    if isinstance(found, Rates):
        draw_rates(found, "form-rate")
        rate = min(HIGHEST, max(LOWEST, float(f"{found.suggested:.1g}")))
        st.button(f"Use {rate:g}", icon=":material/check:", on_click=_use, args=(rate,))


def _use(rate: float) -> None:
    st.session_state[RATE] = rate
    st.session_state.pop(ASKED, None)


def _run_with_features(config: RunConfig, settings: Settings) -> RunInfo | None:
    """Return the latest run that has ended with a head, of the same pictures and backbone; one of
    the same size and geometry before all others."""
    runs = [
        info
        for info in list_runs(settings)
        if not info.active and info.model and info.config.epochs
        and (info.config.dataset, info.config.backbone) == (config.dataset, config.backbone)
    ]  # fmt: skip
    alike = [i for i in runs if (i.config.size, i.config.fit) == (config.size, config.fit)]
    return next(iter(alike or runs), None)
