"""The prediction of one model for one image, and what can be unfolded about it."""

from __future__ import annotations

import html
from collections.abc import Sequence

import pandas as pd
import streamlit as st

from tlcore.datasets.dataset import Sample
from tlcore.evaluation.metrics import Calibration
from tlcore.models.imagenet import CLASSES, group_probabilities, imagenet_groups
from tlcore.models.predictions import Prediction, measure_certainty
from tlcore.percentages import points, probability
from tlcore.settings import Settings
from tlcore.training.provenance import list_samples
from tlcore.training.run import RunInfo
from tlcore.training.store import load_run
from tlcore.ui.components.charts import PLAIN_CHART, probability_bars, thin_bars
from tlcore.ui.components.run_picker import has_unknown_label
from tlcore.ui.format import accuracy, duration, escape_md, label, non_breaking, plural
from tlcore.ui.inference_requests import calibration_of
from tlcore.ui.state import Choice, chosen_number
from tlcore.ui.theme import colours, template

TOP_CLASSES = 3  # bars at first
COMFORTABLE = 20  # bars; more become thin rows in a box that scrolls
BOX = 640  # px
GROUPS = 3  # of ImageNet's classes, named at most
LEAST_GROUP = 0.01  # probability of a group that is named
TABLE = {
    "rank": st.column_config.NumberColumn("Rank", width=50),
    "class": st.column_config.TextColumn("Class", width=140),
    "group": st.column_config.TextColumn("Group"),
    "probability": st.column_config.NumberColumn("Probability", format="%.4f%%", width=95),
    "logit": st.column_config.NumberColumn(
        "Logit", format="%.3f", help="The value before softmax."
    ),
    "wnid": st.column_config.TextColumn("WordNet id"),
}


def pretrained_answer(key: str, prediction: Prediction) -> None:
    """Draw the prediction of a pretrained model: class, certainty, bars, source."""
    colour = colours().frozen if prediction.source == "random" else colours().pretrained
    _headline(prediction, "pretrained", "")
    _certainty_sentence(prediction)
    _bars(key, prediction, colour, "Probabilities of the pretrained network")
    groups = _groups(prediction)
    best = f"{groups[0]} · " if groups else ""
    summed = f"Summed over groups of classes, after WordNet: {', '.join(groups)}.\n\n"
    _source(prediction, best, summed if groups else "")


def head_answer(
    key: str, prediction: Prediction, info: RunInfo, sample: Sample, settings: Settings
) -> None:
    """Draw the prediction of a head; an image of a class that it does not predict gets no mark."""
    foreign = has_unknown_label(info, sample)
    _headline(prediction, "head", "" if foreign else _verdict(prediction, sample))
    if not foreign:
        _certainty_sentence(prediction)
    _bars(key, prediction, colours().head, "Probabilities of the head")
    _source(prediction, _training_text(info, settings))


def _headline(prediction: Prediction, kind: str, verdict: str) -> None:
    best = prediction.ranking(1)[0]
    st.html(
        f'<div class="answer {kind}"><b>{html.escape(label(best.label))}</b>'
        f"<span>{probability(best.probability)}</span><i>{verdict}</i></div>"
    )


def _verdict(prediction: Prediction, sample: Sample) -> str:
    """Return a mark: whether the answer is the image's label; "" where it has none to compare."""
    if sample.label not in prediction.labels:
        return ""
    return "✓" if prediction.ranking(1)[0].label == sample.label else "✗"


def _certainty_sentence(prediction: Prediction) -> None:
    sure = measure_certainty(prediction.probabilities)
    words = f"{sure.description[:1].upper()}{sure.description[1:]}"
    st.markdown(
        f":small[{words}, {points(sure.margin)} ahead of the next.]",
        help=f"Entropy {sure.entropy:.2f} bits: as uncertain as a choice among "
        f"{sure.perplexity:.3g} "
        "equally probable classes.",
    )


def _bars(key: str, prediction: Prediction, colour: str, title: str) -> None:
    shown = min(max(chosen_number(Choice.TOP_CLASSES, TOP_CLASSES), 1), len(prediction.labels))
    ranking = prediction.ranking(shown)
    many = len(ranking) > COMFORTABLE
    figure = (thin_bars if many else probability_bars)(ranking, colour, colours(), template())
    alt = f"{title}; most probable: {label(ranking[0].label)}"
    with st.container(height=BOX if many else "content", border=many):
        st.plotly_chart(figure, theme=None, key=f"bars-{key}", config=PLAIN_CHART, alt=alt)


def _groups(prediction: Prediction) -> list[str]:
    """Return the probable groups (dogs, birds, …): answers that miss by a breed agree in them."""
    if prediction.source != "imagenet" or len(prediction.labels) != CLASSES:
        return []
    groups = group_probabilities(prediction.probabilities)[:GROUPS]
    return [
        f"{each.group} {probability(each.probability)}"
        for each in groups
        if each.probability >= LEAST_GROUP
    ]


def _training_text(info: RunInfo, settings: Settings) -> str:
    if info.val_accuracy is None:
        return ""
    images = load_run(info.id, settings).images.get("val", 0)
    return f"validation accuracy {accuracy(info.val_accuracy, images)} · "


def _source(prediction: Prediction, before: str, help_before: str = "") -> None:
    """Name where an answer comes from, in one small line; the times on hover."""
    seconds, note = prediction.seconds, prediction.note
    st.caption(
        f"{before}{non_breaking(f'{prediction.size} px')}, {prediction.fit}"
        + (f" · {note[:1].upper()}{note[1:]}" if note else ""),
        help=f"{help_before}Decoded in {duration(seconds.decode)}, prepared in "
        f"{duration(seconds.prepare)}, backbone and head {duration(seconds.network)}.",
    )


def threshold_expander(prediction: Prediction, info: RunInfo, head: str = "") -> None:
    """Two classes share one sigmoid unit: from which probability on is the second predicted?

    ``head`` names the head where several are compared.
    """
    second = prediction.labels[1]
    with st.expander(f"Decision threshold{head}", icon=":material/tune:"):
        key = f"threshold-{info.id}"
        words = f"Predict “{label(second)}” from a probability of"
        limit = st.slider(words, 1, 99, 50, key=key, format="%d%%") / 100
        share = float(prediction.probabilities[1])
        answer = second if share >= limit else prediction.labels[0]
        st.markdown(
            f"“{escape_md(label(second))}” has {probability(share)}: at this threshold the "
            f"prediction is **{escape_md(label(answer))}**."
        )


def calibration_expander(info: RunInfo, settings: Settings, head: str = "") -> None:
    """Measure on validation images whether a head's percentages are right, once it is opened."""
    box = st.expander(
        f"Calibration{head}: can its percentages be trusted?",
        icon=":material/query_stats:",
        key=f"calibration-{info.id}",
        on_change="rerun",
    )
    if not box.open:
        return
    with box:
        with st.spinner("Predicting its validation images …"):
            measured = calibration_of(info, settings)
        if measured is None:
            st.caption("Not measured: its validation images are no longer here.")
            return
        st.caption(_calibration_text(measured, len(list_samples(info, "val"))))


def _calibration_text(measured: Calibration, images: int) -> str:
    drawn = measured.images
    which = f"{drawn:,} of {images:,}" if drawn < images else f"{drawn:,}"
    return (
        f"On {which} validation images its mean confidence was "
        f"{probability(measured.confidence)}, its accuracy {accuracy(measured.accuracy, drawn)}: "
        f"{measured.advice}. Expected calibration error {points(measured.error)}; nothing has "
        "been corrected."
    )


def class_table(prediction: Prediction) -> None:
    """Draw all classes of a prediction, folded, with a search of names, groups and WordNet ids."""
    ranking = prediction.ranking()
    with st.expander(f"All {len(ranking):,} classes", icon=":material/table_rows:"):
        words = st.text_input(
            "Search",
            key="table-search",
            placeholder="a name, a group or a WordNet id: owl, birds, n01622779",
            label_visibility="collapsed",
        )
        groups: Sequence[str] = [""] * len(ranking)
        if len(ranking) == CLASSES:
            groups = imagenet_groups()
        table = pd.DataFrame(
            {
                "rank": [row.rank for row in ranking],
                "class": [label(row.label) for row in ranking],
                "group": [groups[row.index] for row in ranking],
                "probability": [row.probability * 100 for row in ranking],
                "logit": [row.logit for row in ranking],
                "wnid": [row.wnid for row in ranking],
            }
        )
        rows = search(table, words)
        if len(rows) < len(table):
            st.caption(f"{plural(len(rows), 'class', 'classes')} of {len(table):,}.")
        st.dataframe(rows, hide_index=True, height=420, column_config=TABLE)


def search(table: pd.DataFrame, words: str) -> pd.DataFrame:
    """Return the rows in which every word stands in the name, the group or the WordNet id."""
    text = (table["class"] + " " + table["group"] + " " + table["wnid"]).str.lower()
    for word in words.lower().replace("_", " ").split():
        table = table[text.loc[table.index].str.contains(word, regex=False)]
    return table
