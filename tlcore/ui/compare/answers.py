"""Whether a head's percentages mean what they say, measured on its validation images."""

from __future__ import annotations

import html

import pandas as pd
import streamlit as st

from tlcore.datasets.dataset import Sample
from tlcore.datasets.sample import dataset_title
from tlcore.datasets.splits import draw_stratified
from tlcore.evaluation.metrics import Calibration, compute_calibration
from tlcore.models.imagenet import CLASSES, group_probabilities, imagenet_groups
from tlcore.models.predictions import ModelRef, Prediction, Ranked, certainty
from tlcore.percentages import points, probability
from tlcore.settings import Settings
from tlcore.training.provenance import list_validation_samples
from tlcore.training.run import RunInfo
from tlcore.training.store import load_run
from tlcore.ui.components.charts import PLAIN_CHART, bars, many_bars
from tlcore.ui.components.framing import fit_title
from tlcore.ui.components.model_picker import TOP
from tlcore.ui.components.run_picker import further_title, is_foreign
from tlcore.ui.format import accuracy, count, duration, label, plain, tight
from tlcore.ui.questions import predict
from tlcore.ui.services import inference
from tlcore.ui.state import Choice, chosen_number
from tlcore.ui.theme import colours, template

MOST = 500  # validation images that are answered for it, drawn class by class


def trust(info: RunInfo, settings: Settings) -> None:
    """A line that can be opened; the images are answered when it is."""
    box = st.expander(
        "Can its percentages be trusted?", type="compact", key=f"trust-{info.id}", on_change="rerun"
    )
    if not box.open:
        return
    with box:
        with st.spinner("Answering its validation images …"):
            found = _measured(info.ref, info, settings)
        if found is None:
            st.caption("Not measured: its validation images are no longer here.")
            return
        drawn, whole = found.images, len(list_validation_samples(info))
        of = f"{drawn:,} of {whole:,} validation images"
        st.caption(
            f"On {of if drawn < whole else count(drawn, 'validation image')} it was "
            f"{probability(found.confidence)} sure on average and right on "
            f"{accuracy(found.accuracy, drawn)}: {found.advice}. Expected calibration error "
            f"{points(found.error)}; nothing has been corrected."
        )


@st.cache_data(show_spinner=False, max_entries=64)
def _measured(ref: ModelRef, _info: RunInfo, _settings: Settings) -> Calibration | None:
    samples = draw_stratified(list_validation_samples(_info), MOST, _info.config.seed)
    classes = load_run(ref.run, _settings).classes
    answers = inference(_settings).ask("predict_batch", [s.path for s in samples], [ref])
    told = [
        (answer[0].probability, classes[answer[0].index] == sample.label)
        for sample, answer in zip(samples, answers, strict=True)
        if isinstance(answer, tuple)
    ]
    return (
        compute_calibration([sure for sure, _ in told], [right for _, right in told])
        if told
        else None
    )


# What the sides of the Compare page share: the heading in its colour, and the whole table.


def side_title(name: str, kind: str, more: str = "") -> None:
    """The heading of one side, with the dot in its colour; ``kind`` is "pretrained" or "head"."""
    small = f"<small>{html.escape(more)}</small>" if more else ""
    st.html(f'<div class="side {kind}"><span>{html.escape(name)} {small}</span></div>')


def table(answer: Prediction) -> None:
    """All classes of an answer, folded away, with a search of names, groups and WordNet ids."""
    rows = answer.ranking()
    with st.expander(f"All {len(rows):,} classes", icon=":material/table_rows:"):
        wanted = st.text_input(
            "Search",
            key="table-search",
            placeholder="a name, a group or a WordNet id: owl, birds, n01622779",
            label_visibility="collapsed",
        )
        groups = imagenet_groups() if len(rows) == CLASSES else ("",) * len(rows)
        found = pd.DataFrame(
            {
                "rank": [row.rank for row in rows],
                "class": [label(row.label) for row in rows],
                "group": [groups[row.index] for row in rows],
                "probability": [row.probability * 100 for row in rows],
                "logit": [row.logit for row in rows],
                "wnid": [row.wnid for row in rows],
            }
        )
        found = search(found, wanted)
        if len(found) < len(rows):
            st.caption(f"{count(len(found), 'class', 'classes')} of {len(rows):,}.")
        st.dataframe(found, hide_index=True, height=420, column_config=COLUMNS)


def search(rows: pd.DataFrame, wanted: str) -> pd.DataFrame:
    """Return the rows in which every word stands in the name, the group or the WordNet id."""
    said = (rows["class"] + " " + rows["group"] + " " + rows["wnid"]).str.lower()
    for word in wanted.lower().replace("_", " ").split():
        rows = rows[said.loc[rows.index].str.contains(word, regex=False)]
    return rows


COLUMNS = {
    "rank": st.column_config.NumberColumn("Rank", width=50),
    "class": st.column_config.TextColumn("Class", width=140),
    "group": st.column_config.TextColumn("Group"),
    "probability": st.column_config.NumberColumn("Probability", format="%.4f%%", width=95),
    "logit": st.column_config.NumberColumn(
        "Logit",
        format="%.3f",
        help="The number before softmax turns 1000 of them into shares of 100%.",
    ),
    "wnid": st.column_config.TextColumn("WordNet id"),
}


# Both answers to one image, on one scale, with how sure they are in plain words.


COMFORTABLE = 20  # bars; more become thin rows in a box that scrolls
BOX = 640  # px
GROUPS = 3  # named


def network_answers(sample: Sample, refs: list[ModelRef], settings: Settings) -> list[Prediction]:
    """Draw what each pretrained network sees, one under the other; return the answers."""
    answers = []
    for place, ref in enumerate(refs):
        if place:
            st.markdown(f"**{ref.backbone}**")
        answer = predict(sample, ref, settings)
        tone = colours()
        colour = tone.frozen if answer.source == "random" else tone.pretrained
        _answer(f"imagenet-{place}", answer, colour, "pretrained network")
        answers.append(answer)
    return answers


def head_answers(sample: Sample, runs: list[RunInfo], settings: Settings) -> list[Prediction]:
    """Draw what each head makes of the same image; return the answers."""
    answers = []
    for place, info in enumerate(runs):
        if place:
            further_title(info, sample, settings)
        ref: ModelRef = info.ref
        answer = predict(sample, ref, settings)
        knows = not is_foreign(info, sample)
        _answer(f"head-{place}", answer, colours().head, "head", judged=knows)
        if len(answer.labels) == 2 and knows:
            _threshold(answer, info)
        st.caption(_trained_on(info, settings))
        trust(info, settings)
        answers.append(answer)
    return answers


def _answer(key: str, answer: Prediction, colour: str, whose: str, *, judged: bool = True) -> None:
    """The bars of an answer, and in words how sure it is where it can know the right one."""
    if judged:
        _certainty(answer)
    shown = min(max(chosen_number(Choice.TOP_CLASSES, TOP), 1), len(answer.labels))
    _bars(key, answer.ranking(shown), colour, f"Bars of the {whose}")
    if answer.source == "imagenet":
        _groups(answer)
    times = answer.seconds
    st.caption(
        f"{tight(f'{answer.size} × {answer.size}')}, {fit_title(answer.fit).lower()} · decoded in "
        f"{tight(duration(times.decode))}, prepared in {tight(duration(times.prepare))}, network "
        f"and head {tight(duration(times.network))}"
    )
    if answer.note:
        st.caption(f":material/info: {answer.note[:1].upper()}{answer.note[1:]}.")


def _certainty(answer: Prediction) -> None:
    sure = certainty(answer.probabilities)
    st.markdown(
        f"**{sure.words[:1].upper()}{sure.words[1:]}** "
        f":gray[· {points(sure.margin)} ahead of the next]",
        help=f"Entropy {sure.bits:.2f} bits: as uncertain as a choice among {sure.like:.3g} "
        f"equally probable classes. First {probability(sure.best)}, "
        f"second {probability(sure.second)}.",
    )


def _bars(key: str, ranking: list[Ranked], colour: str, words: str) -> None:
    alt = f"{words}; most probable: {label(ranking[0].label)}"
    if len(ranking) <= COMFORTABLE:
        figure = bars(ranking, colour, colours(), template())
        st.plotly_chart(figure, theme=None, key=f"bars-{key}", config=PLAIN_CHART, alt=alt)
        return
    with st.container(height=BOX, border=True):
        figure = many_bars(ranking, colour, colours(), template())
        st.plotly_chart(figure, theme=None, key=f"bars-{key}", config=PLAIN_CHART, alt=alt)


def _groups(answer: Prediction) -> None:
    """What share falls on dogs, birds, vehicles …: classes that miss by a breed still agree."""
    if len(answer.labels) != CLASSES:
        return
    found = [
        mass for mass in group_probabilities(answer.probabilities) if mass.probability >= 0.01
    ][:GROUPS]
    text = " · ".join(f"{mass.group} **{probability(mass.probability)}**" for mass in found)
    st.markdown(
        text,
        help="Probability summed over groups of classes, after WordNet: 118 of the 1000 are dogs.",
    )


def _threshold(answer: Prediction, info: RunInfo) -> None:
    """Two classes share one sigmoid unit: from which probability on it says the second."""
    second = label(answer.labels[1])
    key = f"threshold-{info.id}"
    limit = st.slider(f"Says “{second}” from", 1, 99, 50, key=key, format="%d%%") / 100
    said = answer.labels[1] if answer.probabilities[1] >= limit else answer.labels[0]
    st.markdown(f"At this threshold it says **{plain(label(said))}**.")


def _trained_on(info: RunInfo, settings: Settings) -> str:
    name = plain(dataset_title(info.config.dataset))
    if info.val_accuracy is None:
        return f"Learned from “{name}”."
    images = load_run(info.id, settings).images.get("val", 0)
    return f"Learned from “{name}”; right on {accuracy(info.val_accuracy, images)}."
