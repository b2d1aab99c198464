"""What else a run's features can tell: enough pictures? how sure? which rate? which backbone?"""

from __future__ import annotations

import numpy as np
import plotly.graph_objects as go
import streamlit as st

from tlcore.percentages import percent, points
from tlcore.settings import Settings
from tlcore.training.run import Run
from tlcore.training.studies.enough import Point, Rise, last_rise
from tlcore.training.studies.rates import Rates
from tlcore.ui.plots import PLAIN_CHART
from tlcore.ui.services import inference
from tlcore.ui.shell import boundary
from tlcore.ui.theme import colours, template
from tlcore.ui.tune.board import TAG, board, offer_board

ENOUGH, FOLDS, RATE = "Enough pictures?", "How sure is it?", "Which learning rate?"
BACKBONE = "Which backbone?"
TASKS = {ENOUGH: "enough", FOLDS: "folds", RATE: "find_rate"}
HELP = {
    ENOUGH: "Accuracy with fewer pictures, five times each, all with the same number of steps. "
    "Still rising: bring more.",
    FOLDS: "Five divisions of the same pictures: how much the accuracy depends on luck.",
    RATE: "The loss while the rate grows; the middle of its fall is a good rate.",
}
FEW = 5  # divisions; with fewer pictures of a class there are fewer
CURVE_HEIGHT = 280  # px


def run_studies(run: Run, settings: Settings) -> None:
    """Offer the questions, each answered from the features that are kept, in seconds."""
    with st.expander("Ask more of these features", icon=":material/query_stats:"), boundary():
        asked = st.session_state.get(f"study-{run.info.id}", "")
        with st.container(horizontal=True):
            for words in TASKS:
                if st.button(words, help=HELP[words]):
                    asked = words
            if st.button(BACKBONE, help="The same head on every backbone whose weights are here. "
                         f"Its runs are tagged “{TAG}”."):  # fmt: skip
                asked = BACKBONE
        st.session_state[f"study-{run.info.id}"] = asked
        if asked == BACKBONE:
            offer_board(run, settings)
            board(run, settings)
        elif asked:
            with st.spinner("Training heads …"):
                _draw(asked, answer_of(TASKS[asked], run.info.id, settings))


@st.cache_data(show_spinner=False, max_entries=50)
def answer_of(task: str, run: str, _settings: Settings) -> object:
    """Return the answer of one of the studies for a run; it is worked out once."""
    return inference(_settings).study(task, run)


def _draw(asked: str, found: object) -> None:
    if isinstance(found, Rates):
        draw_rates(found, "study-rate")
    elif asked == ENOUGH and isinstance(found, tuple):
        _points(found)
    elif isinstance(found, tuple):
        mean, spread = float(np.mean(found)), float(np.std(found, ddof=1))
        st.metric(
            f"Accuracy over {len(found)} divisions",
            f"{percent(mean)} ± {points(spread)}",
            help="Mean and standard deviation over the divisions.",
        )
        st.caption(f"Each of them: {', '.join(percent(share) for share in found)}.")
        if len(found) < FEW:
            st.caption(f":material/warning: From {len(found)} divisions: the pictures are too few "
                       "for more, and for a spread that means much.")  # fmt: skip


def draw_rates(found: Rates, key: str) -> None:
    """Draw the loss over the learning rate, with the rate that is suggested."""
    figure = _figure(found.rates, found.losses, "learning rate", "loss")
    figure.update_xaxes(type="log", exponentformat="power")
    figure.add_vline(x=found.suggested, line={"dash": "dot", "color": colours().faint})
    st.plotly_chart(figure, theme=None, key=key, config=PLAIN_CHART)
    st.caption(f"About {found.suggested:.1g} would be a good rate.")


def _points(points: tuple[Point, ...]) -> None:
    x = [point.pictures for point in points]
    figure = _figure(x, [point.accuracy for point in points], "pictures of each class", "accuracy")
    figure.data[0].error_y = {
        "type": "data",
        "symmetric": False,
        "array": [point.high - point.accuracy for point in points],
        "arrayminus": [point.accuracy - point.low for point in points],
    }
    figure.update_xaxes(type="log", tickvals=x, ticktext=[str(number) for number in x])
    lowest = min(point.low for point in points)
    figure.update_yaxes(tickformat=".0%", range=[min(0.5, lowest), 1.01])
    st.plotly_chart(figure, theme=None, key="study-enough", config=PLAIN_CHART)
    st.caption("Mean of five draws with its 95% interval, judged by the validation pictures.")
    if rise := last_rise(points):
        st.markdown(_rise_words(rise))


def _rise_words(rise: Rise) -> str:
    before, after = rise.before, rise.after
    steps = f"from {before.pictures:,} to {after.pictures:,} pictures of each class"
    figures = f"({percent(before.accuracy)} to {percent(after.accuracy)})"
    if rise.clear:
        return f"It still rises {steps} {figures}: more pictures like these are likely to help."
    return f"No clear change {steps} {figures}: more pictures like these may help little."


def _figure(x: object, y: object, across: str, up: str) -> go.Figure:
    figure = go.Figure(layout={"template": template()})
    line = {"color": colours().head, "width": 2.5}
    figure.add_scatter(x=x, y=y, mode="lines+markers", line=line, name=up)
    figure.update_xaxes(title=across)
    figure.update_yaxes(title=up)
    figure.update_layout(height=CURVE_HEIGHT, margin={"l": 56, "r": 8, "t": 10, "b": 44})
    return figure
