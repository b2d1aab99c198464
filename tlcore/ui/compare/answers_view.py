"""Both answers to one picture, on one scale, with how sure they are in plain words."""

from __future__ import annotations

import streamlit as st

from tlcore.datasets.dataset import Sample
from tlcore.models.answers import NetworkRef, Prediction, Pretrained, Ranked
from tlcore.models.certainty import certainty
from tlcore.models.groups import CLASSES, masses
from tlcore.percentages import points, probability
from tlcore.settings import Settings
from tlcore.training.run import RunInfo
from tlcore.training.store import load_run
from tlcore.ui.answers import predict
from tlcore.ui.compare.trust import trust
from tlcore.ui.heads import further_title, is_foreign
from tlcore.ui.networks import TOP
from tlcore.ui.plots import PLAIN_CHART, bars, many_bars
from tlcore.ui.seen import fit_title
from tlcore.ui.sets import set_title
from tlcore.ui.state import Choice, chosen_number
from tlcore.ui.theme import colours, template
from tlcore.ui.words import accuracy, duration, label, plain, tight

COMFORTABLE = 20  # bars; more become thin rows in a box that scrolls
BOX = 640  # px
GROUPS = 3  # named


def network_answers(sample: Sample, refs: list[Pretrained], settings: Settings) -> list[Prediction]:
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
    """Draw what each head makes of the same picture; return the answers."""
    answers = []
    for place, info in enumerate(runs):
        if place:
            further_title(info, sample, settings)
        ref: NetworkRef = info.ref
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
    shown = min(max(chosen_number(Choice.TOP, TOP), 1), len(answer.labels))
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
    found = [mass for mass in masses(answer.probabilities) if mass.probability >= 0.01][:GROUPS]
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
    name = plain(set_title(info.config.dataset))
    if info.val_accuracy is None:
        return f"Learned from “{name}”."
    pictures = load_run(info.id, settings).pictures.get("val", 0)
    return f"Learned from “{name}”; right on {accuracy(info.val_accuracy, pictures)}."
