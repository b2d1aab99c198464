"""The prediction of one model for one image, and what can be unfolded about it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from tlcore.datasets.dataset import Sample
from tlcore.errors import TLCoreError
from tlcore.evaluation.metrics import CLOSED_SET
from tlcore.models.imagenet import CLASSES, group_probabilities, imagenet_groups
from tlcore.models.predictions import Prediction, measure_certainty
from tlcore.percentages import points, probability
from tlcore.settings import Settings
from tlcore.training.provenance import list_samples
from tlcore.training.run import RunInfo
from tlcore.ui.components.charts import draw_chart, probability_bars, thin_bars
from tlcore.ui.components.run_picker import describe_classes, has_unknown_label
from tlcore.ui.format import accuracy, duration, escape_md, label, non_breaking, plural
from tlcore.ui.inference_requests import calibration_of
from tlcore.ui.shell import boundary, show_error
from tlcore.ui.state import Choice, choose, chosen, chosen_number
from tlcore.ui.theme import colours
from tlcore.ui.widgets import matches, select, show_html

if TYPE_CHECKING:
    import pandas as pd

TOP_CLASSES = 3  # bars at first
BARS = (3, 5, 10, 20, 50, 1000)  # offered
COMFORTABLE = 20  # bars; more become thin rows in a box that scrolls
BOX = 640  # px
GROUPS = 3  # of ImageNet's classes, named at most
LEAST_GROUP = 0.01  # probability of a group that is named
TABLE = {
    "rank": st.column_config.NumberColumn("Rank", width=50),
    "class": st.column_config.TextColumn("Class", width=140),
    "group": st.column_config.TextColumn("Group"),
    "percent": st.column_config.NumberColumn("Probability", format="%.4f%%", width=95),
    "logit": st.column_config.NumberColumn(
        "Logit", format="%.3f", help="The value before softmax."
    ),
    "wnid": st.column_config.TextColumn("WordNet id"),
}


def draw_answer(
    prediction: Prediction | TLCoreError, info: RunInfo | None, title: str, sample: Sample
) -> None:
    """Draw a model's prediction: class, certainty, bars, source; or why there is none.

    ``info`` is the run of a head, None for a pretrained network. An image of a class that a head
    does not predict gets no mark and no sentence on certainty. ``title`` names a further model
    below the first, for Markdown.
    """
    foreign = info is not None and has_unknown_label(info, sample)
    if title:
        st.markdown(f"**{title}**")
        if info and foreign:
            st.caption(f":material/info: {describe_classes(info)}")
    if isinstance(prediction, TLCoreError):
        show_error(prediction)
        return
    best, verdict = prediction.ranking(1)[0], ""
    if info is not None and sample.label in prediction.labels:
        verdict = "✓" if best.label == sample.label else "✗"
    show_html(
        '<div class="answer {kind}"><b>{name}</b><span>{share}</span><i>{verdict}</i></div>',
        kind="head" if info else "pretrained",
        name=label(best.label),
        share=probability(best.probability),
        verdict=verdict,
    )
    if not foreign:
        sure = measure_certainty(prediction.probabilities)
        choice = f"as uncertain as a choice among {sure.perplexity:.3g} equally probable classes"
        st.markdown(
            f":small[{sure.description[:1].upper()}{sure.description[1:]}, {points(sure.margin)} "
            "ahead.]",
            help=f"Ahead of the next class. Entropy {sure.entropy:.2f} bits: {choice}.",
        )
    _bars(prediction, title, "the head" if info else "the pretrained network")
    _source(prediction, info, title)


def _bars(prediction: Prediction, title: str, model: str) -> None:
    tone = colours()
    colour = {"random": tone.frozen, "imagenet": tone.pretrained}.get(prediction.source, tone.head)
    shown = min(max(chosen_number(Choice.TOP_CLASSES, TOP_CLASSES), 1), len(prediction.labels))
    ranking, many = prediction.ranking(shown), shown > COMFORTABLE
    figure = (thin_bars if many else probability_bars)(ranking, colour)
    alt = f"Probabilities of {model}; most probable: {label(ranking[0].label)}"
    with st.container(height=BOX if many else "content", border=many):
        draw_chart(figure, f"bars-{model}-{title}", alt)


def _source(prediction: Prediction, info: RunInfo | None, title: str) -> None:
    """Name where an answer comes from, in one small line; groups and times on hover.

    Beside the first answer's is chosen how many bars are shown.

    Groups are dogs, birds, …: answers that miss by a breed agree in them.
    """
    seconds, note, before = prediction.seconds, prediction.note, ""
    help = (
        f"Decoded in {duration(seconds.decode)}, prepared in {duration(seconds.prepare)}, "
        f"backbone and head {duration(seconds.network)}."
    )
    if info and info.val_accuracy is not None:
        images = info.images.get("val", 0)
        before = f"validation accuracy {accuracy(info.val_accuracy, images)} · "
    if prediction.source == "imagenet" and len(prediction.labels) == CLASSES:
        groups = [
            f"{each.group} {probability(each.probability)}"
            for each in group_probabilities(prediction.probabilities)[:GROUPS]
            if each.probability >= LEAST_GROUP
        ]
        before = "".join(f"{group} · " for group in groups[:1])
        help = f"Summed over groups of classes, after WordNet: {', '.join(groups)}.\n\n{help}"
    where = f"{non_breaking(f'{prediction.size} px')}, {prediction.fit}"
    text = before + where + (f" · {note[:1].upper()}{note[1:]}" if note else "")
    if title or info:
        st.caption(text, help=help)
        return
    with st.container(horizontal=True, vertical_alignment="center", wrap=False, key="bars-shown"):
        st.caption(text, help=help)
        numbers = sorted(
            {*BARS, min(max(chosen_number(Choice.TOP_CLASSES, TOP_CLASSES), 1), CLASSES)}
        )
        choose(Choice.TOP_CLASSES, chosen(Choice.TOP_CLASSES) or TOP_CLASSES)
        select(
            "Bars", [*map(str, numbers)], Choice.TOP_CLASSES, words=lambda number: f"{number} bars"
        )


def head_expanders(
    prediction: Prediction, info: RunInfo, name: str, sample: Sample, settings: Settings
) -> None:
    """Draw what is folded of a head: its threshold between two classes, and its calibration.

    ``name`` names the head where several are compared, " of …".
    """
    if len(prediction.labels) == 2 and not has_unknown_label(info, sample):
        _threshold_expander(prediction, info, name)
    with boundary():
        _calibration_expander(info, settings, name)


def _threshold_expander(prediction: Prediction, info: RunInfo, name: str) -> None:
    """Two classes share one sigmoid unit: from which probability on is the second predicted?"""
    first, second = map(label, prediction.labels)
    with st.expander(f"Decision threshold{name}", icon=":material/tune:"):
        words = f"Predict “{second}” from a probability of"
        limit = st.slider(words, 1, 99, 50, key=f"threshold-{info.id}", format="%d%%") / 100
        share = float(prediction.probabilities[1])
        st.markdown(
            f"“{escape_md(second)}” has {probability(share)}: at this threshold the "
            f"prediction is **{escape_md(second if share >= limit else first)}**."
        )


def _calibration_expander(info: RunInfo, settings: Settings, name: str) -> None:
    """Measure on validation images whether a head's percentages are right, once it is opened."""
    box = st.expander(
        f"Calibration{name}: can its percentages be trusted?",
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
        images, drawn = len(list_samples(info, "val")), measured.images
        which = f"{drawn:,} of {images:,}" if drawn < images else f"{drawn:,}"
        st.caption(
            f"On {which} validation images its mean confidence was "
            f"{probability(measured.confidence)}, its accuracy "
            f"{accuracy(measured.accuracy, drawn)}: {measured.advice}. Expected calibration error "
            f"{points(measured.error)}; nothing has been corrected. {CLOSED_SET}"
        )


def class_table(prediction: Prediction) -> None:
    """Draw, once it is opened, all classes with a search of names, groups and WordNet ids."""
    title = f"All {len(prediction.labels):,} classes"
    icon = ":material/table_rows:"
    box = st.expander(title, icon=icon, key="class-table", on_change="rerun")
    if not box.open:
        return
    import pandas as pd  # 0.3 s, which the first answer need not take

    with box:
        words = st.text_input(
            "Search",
            key="table-search",
            placeholder="a name, a group or a WordNet id: owl, birds, n01622779",
            label_visibility="collapsed",
        )
        table = pd.DataFrame(prediction.ranking())
        table["class"] = table["label"].map(label)
        groups = imagenet_groups() if len(table) == CLASSES else [""] * len(table)
        table["group"] = [groups[index] for index in table["index"]]
        table["percent"] = table["probability"] * 100
        rows = search(table, words)
        if len(rows) < len(table):
            st.caption(f"{plural(len(rows), 'class', 'classes')} of {len(table):,}.")
        st.dataframe(rows, hide_index=True, height=420, column_order=TABLE, column_config=TABLE)


def search(table: pd.DataFrame, words: str) -> pd.DataFrame:
    """Return the rows in which every word stands in the name, the group or the WordNet id."""
    texts = table["class"] + " " + table["group"] + " " + table["wnid"]
    return table[[matches(text, words) for text in texts]]
