"""What ImageNet's network and a head of one's own predict for the same image."""

import streamlit as st

from tlcore.ui.compare.answers import head_answers, network_answers, table
from tlcore.ui.compare.batch import many_view
from tlcore.ui.compare.gradcam import look_options, why_heads, why_networks
from tlcore.ui.compare.quick_train import quick_train
from tlcore.ui.compare.shapes import shapes_view
from tlcore.ui.compare.sides import VIEWS, Sides, left_side, right_side
from tlcore.ui.components.dataset_picker import open_dataset
from tlcore.ui.components.framing import show_seen
from tlcore.ui.components.image_picker import image_picker
from tlcore.ui.shell import COMPARE, FEATURE_MAPS, FINE_TUNE, boundary, next_steps, page
from tlcore.ui.state import Choice, chosen
from tlcore.ui.theme import colours
from tlcore.ui.widgets import segments

with page(COMPARE) as settings:
    sample = image_picker(settings)
    dataset = open_dataset(chosen(Choice.DATASET), settings)
    view = segments("What to see", list(VIEWS), Choice.COMPARE_VIEW, words=lambda name: VIEWS[name])
    image, left, right = st.columns([4, 5, 5], gap="medium")

    networks, runs, answers = [], [], []
    with left, boundary():
        with image:
            shown, options, more = st.container(), st.container(), st.container(horizontal=True)
        row, size, fit, networks = left_side(options, more, settings)
    with right, boundary():
        runs = right_side(more, settings)
        if not runs:
            quick_train(dataset, networks[0] if networks else None, settings)
    with shown, boundary():
        show_seen(sample, size, fit, settings, colours().pretrained)

    if view == "answers":
        with left, boundary():
            answers = network_answers(sample, networks, settings)
        with right, boundary():
            head_answers(sample, runs, settings)
    elif view == "why":
        with image:
            look = look_options()
        with left, boundary():
            answers = why_networks(sample, networks, look, settings)
        with right, boundary():
            why_heads(sample, runs, look, settings)
    else:
        many_view(dataset, Sides(row, size, fit, tuple(networks), tuple(runs)), settings)

    if view != "many" and networks:
        with boundary():
            head = runs[0] if runs else None
            shapes_view(sample, networks[0], head, len(dataset.classes), settings)
        if answers:
            table(answers[0])
    next_steps(FEATURE_MAPS, FINE_TUNE)
