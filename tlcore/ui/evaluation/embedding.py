"""The run's images as points: near ones look alike to the frozen network."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import plotly.graph_objects as go
import streamlit as st

from tlcore.datasets.dataset import SPLIT_NAMES, Sample
from tlcore.evaluation.embedding import Embedding
from tlcore.evaluation.predictions import SplitPredictions, evaluated_split
from tlcore.percentages import percent, probability
from tlcore.settings import Settings
from tlcore.training.run import Run
from tlcore.ui.components.charts import MANY, PLAIN_CHART
from tlcore.ui.evaluation.mistakes import images
from tlcore.ui.format import count, label
from tlcore.ui.questions import predict_run_split
from tlcore.ui.services import inference
from tlcore.ui.theme import Colours, colours, template

HEIGHT = 520  # px
CLASS, RIGHT, SURE = "Class", "Right or wrong", "How sure"
NOT_JUDGED = "not judged"  # copies of images that it learned from, and unreadable files
Said = Mapping[str, tuple[str, float]]  # an image's key → what the head says, how sure it is


def embedding_view(run: Run, settings: Settings) -> None:
    """Draw the map, and the images that are clicked or drawn round."""
    with st.spinner("Laying the images out …"):
        found = _embedding(run.info.id, run.info.data_hash, settings)
    answers = _answers(run, settings)
    by = st.segmented_control(
        "Colour", [CLASS, RIGHT, SURE], default=CLASS, required=True, key="map-colour",
        label_visibility="collapsed",
    )  # fmt: skip
    figure = scatter(found, answers, str(by), colours(), template())
    event = st.plotly_chart(
        figure,
        theme=None,
        key=f"map-{run.info.id}-{by}",
        config={**PLAIN_CHART, "displayModeBar": False},
        on_select="rerun",
        selection_mode=("points", "lasso", "box"),
        alt="Map of the images",
    )
    st.caption(_how(found))
    picked = sorted({int(point["customdata"][0]) for point in event.selection.points})
    if not picked:
        st.caption("Click a point to see its image, or draw round several.")
        return
    samples = [found.samples[place] for place in picked]
    images(
        run,
        f"map-{run.info.id}-{'-'.join(map(str, picked[:50]))}",
        samples,
        lambda sample: _told(sample, answers),
        settings,
        chosen=samples if len(samples) == 1 else (),
    )


@st.cache_data(show_spinner=False, max_entries=8)
def _embedding(run: str, data: str, _settings: Settings) -> Embedding:
    found: Embedding = inference(_settings).ask(
        "tlcore.evaluation.embedding:compute_embedding", run
    )
    return found


def _answers(run: Run, settings: Settings) -> Said:
    """Return what the head says and how sure it is, by the image's key."""
    parts = ["train", "val"]
    if evaluated_split(run.info.id, settings) == "test":
        parts.append("test")
    said: dict[str, tuple[str, float]] = {}
    for part in parts:
        said |= _by_key(predict_run_split(run.info.id, part, settings))
    return said


def _by_key(found: SplitPredictions) -> dict[str, tuple[str, float]]:
    return {
        sample.key: (found.classes[answer], sure)
        for sample, answer, sure in zip(
            found.samples, found.predicted.tolist(), found.confidence.tolist(), strict=True
        )
    }


def scatter(
    found: Embedding,
    answers: Said,
    by: str,
    tone: Colours,
    look: go.layout.Template,
) -> go.Figure:
    """Points in groups of one colour each, their names on hover."""
    figure = go.Figure(layout={"template": look})
    groups = _groups(found, answers, by)
    for number, (name, places) in enumerate(groups.items()):
        samples = [found.samples[place] for place in places]
        marker = {"size": 9, "line": {"width": 1, "color": tone.ground}, "opacity": 0.85}
        sure = [answers[s.key][1] for s in samples if s.key in answers]
        marker |= _colour(by, name, number, sure, tone)
        figure.add_scatter(
            x=found.points[places, 0],
            y=found.points[places, 1],
            mode="markers",
            name=name,
            marker=marker,
            customdata=[[place] for place in places],
            hovertext=[_told(sample, answers) for sample in samples],
            hoverinfo="text",
            unselected={"marker": {"opacity": 0.25}},
        )
    for axis, share in zip((figure.update_xaxes, figure.update_yaxes), found.explained,
                           strict=True):  # fmt: skip
        axis(title=f"{percent(share)} of the differences", showticklabels=False)
    figure.update_layout(
        height=HEIGHT,
        dragmode="lasso",
        showlegend=by != SURE or NOT_JUDGED in groups,
        margin={"l": 28, "r": 8, "t": 34, "b": 30},
        legend={"orientation": "h", "y": 1.0, "yanchor": "bottom", "x": 0},
        uirevision=by,
    )
    return figure


def _groups(found: Embedding, answers: Said, by: str) -> dict[str, list[int]]:
    groups: dict[str, list[int]] = {}
    for place, sample in enumerate(found.samples):
        groups.setdefault(_group(sample, answers, by), []).append(place)
    return dict(sorted(groups.items()))


def _group(sample: Sample, answers: Said, by: str) -> str:
    if by == CLASS:
        return label(sample.label)
    if sample.key not in answers:
        return NOT_JUDGED
    if by == SURE:
        return "how sure"
    return "right" if answers[sample.key][0] == sample.label else "wrong"


def _colour(by: str, name: str, number: int, sure: list[float], tone: Colours) -> dict[str, object]:
    """Return the look of a group; ``sure`` is how sure its answers are, 0…1."""
    if by != CLASS and name == NOT_JUDGED:
        return {"color": tone.ground, "line": {"width": 1.5, "color": tone.frozen}}
    if by == RIGHT:
        return {"color": tone.frozen if name == "right" else tone.head}
    if by == SURE:
        return {
            "color": sure,
            "colorscale": [[0, tone.head], [1, tone.pretrained]],
            "cmin": float(np.min(sure, initial=1.0)),
            "cmax": 1.0,
            "colorbar": {"tickformat": ".0%", "thickness": 12, "outlinewidth": 0},
        }
    return {"color": MANY[number % len(MANY)]}


def _told(sample: Sample, answers: Said) -> str:
    words = f"{label(sample.label)}, {SPLIT_NAMES[str(sample.split)]} part"
    if sample.key not in answers:
        return f"{words}; left out of judging"
    said, sure = answers[sample.key]
    return f"{words}; the head says {label(said)} with {probability(sure)}"


def _how(found: Embedding) -> str:
    words = (
        "Principal components of the frozen network's pooled features: images that lie "
        f"together look alike to it. {count(len(found.samples), 'image')}"
    )
    if found.total > len(found.samples):
        words += f" of {found.total:,}, drawn at random"
    if found.computed:
        words += f"; {found.computed:,} were not in the feature cache and were computed for it"
    return f"{words}."
