"""How an image becomes numbers: the path of shapes through one backbone and its heads."""

from __future__ import annotations

import html
from dataclasses import replace

import streamlit as st

from tlcore.datasets.dataset import Sample
from tlcore.models.catalog import MODES
from tlcore.models.predictions import ModelRef
from tlcore.models.summary import Head, ShapePath
from tlcore.settings import Settings
from tlcore.training.config import POOLINGS
from tlcore.training.run import RunInfo
from tlcore.training.store import load_run
from tlcore.ui.components.image_grid import thumbnail_url
from tlcore.ui.inference_requests import ask
from tlcore.ui.state import Choice, choose, chosen
from tlcore.ui.widgets import segments

POOLING_TEXTS = {
    "avg": ("Average", "the mean of each map"),
    "max": ("Maximum", "the highest value of each map"),
    "flatten": ("Flatten", "every value of every map"),
}


def shapes_expander(
    sample: Sample, ref: ModelRef, run: RunInfo | None, classes: int, settings: Settings
) -> None:
    """Draw the path once it is opened; let the person switch model and pooling.

    Args:
        sample: the image at its beginning.
        ref: the pretrained model.
        run: whose head it ends in, if there is one.
        classes: of the dataset, for a head that is not there yet.
        settings: where runs are.
    """
    box = st.expander(
        "How the image becomes numbers: the path of shapes",
        icon=":material/conversion_path:",
        key="shapes",
        on_change="rerun",
    )
    if not box.open:
        return
    if run is not None:
        classes = len(load_run(run.id, settings).classes)
    with box:
        with st.container(horizontal=True, gap="medium"):
            model = _select_model(ref, run)
            path = ask("compute_shape_path", model, max(2, classes), settings=settings)
            head = _select_pooling(path)
        st.html(_path_html(path, head, thumbnail_url(sample, settings, "shapes")))


def summary_expander(ref: ModelRef, run: RunInfo | None, settings: Settings) -> None:
    """Draw, once it is opened, every layer with its shape and parameters, and Keras' own text."""
    box = st.expander(
        "Model summary: every layer, its shape and parameters",
        icon=":material/list_alt:",
        key="model-summary",
        on_change="rerun",
    )
    if not box.open:
        return
    models = {
        "include_top=False": replace(ref, top=False),
        "include_top=True": replace(ref, top=True),
    } | ({"Your run": run.ref} if run else {})
    with box:
        names = list(models)
        name = st.segmented_control(
            "Model", names, default=names[0], required=True, label_visibility="collapsed"
        )
        summary, text = ask("summarize_model", models[name or names[0]], settings=settings)
        st.markdown(
            f"**{summary.total:,} parameters**: {summary.trainable:,} trainable, "
            f"{summary.non_trainable:,} frozen, in {len(summary.layers)} layers."
        )
        with st.container(height=420):  # scrolls by keyboard: the button that copies is in it
            st.code(text, language=None)


def _select_model(ref: ModelRef, run: RunInfo | None) -> ModelRef:
    """Choose between the pretrained model and the run's own, where they differ."""
    if run is None:
        return ref
    config = run.config
    same = config.backbone == ref.backbone and config.size == ref.size
    if same and not config.fine_tune_epochs:
        return ref
    titles = {
        "head": f"Your run: {config.backbone}, {config.size} px",
        "pretrained": f"{ref.backbone}, {ref.size} px",
    }
    model = segments("Model", list(titles), Choice.SHAPES_OF, words=titles.__getitem__)
    return run.ref if model == "head" else ref


def _select_pooling(path: ShapePath) -> Head:
    heads = {head.pooling: head for head in path.heads}
    if chosen(Choice.POOLING) not in heads:
        choose(Choice.POOLING, path.pooling or "avg")
    titles = {
        key: f"{POOLING_TEXTS[key][0]} · {_parameters(heads[key].parameters)}" for key in POOLINGS
    }
    return heads[segments("Pooling", list(titles), Choice.POOLING, words=titles.__getitem__)]


def _parameters(number: int) -> str:
    """Return a count of parameters as "5,124", "250,884" or "2.26 million"."""
    return f"{number:,}" if number < 1_000_000 else f"{number / 1e6:.2f} million"


def _shape(shape: tuple[int | None, ...]) -> str:
    return " × ".join(map(str, shape))


def _path_html(path: ShapePath, head: Head, thumbnail: str) -> str:
    """Return the path: a trunk of boxes, then ImageNet's top and the head side by side."""
    image = f'<span class="thumbnail" style="background-image:url({thumbnail})"></span>'
    body, features = f"{_parameters(path.body_parameters)} parameters", _shape(path.bottleneck)
    frozen = f"{path.body_layers} layers, all frozen"
    if path.learned_parameters:
        frozen = (
            f"{path.body_layers} layers; {_parameters(path.learned_parameters)} parameters trained "
            f"with the head, from {path.learned_from} on; the rest frozen"
        )
    trunk = [
        _box("image", "Image", _shape(path.input), "RGB, 0 to 255", image),
        _box("", "Preprocess", _shape(path.input), MODES[path.mode]),
        _box("body", path.backbone, body, frozen),
        _box("", "Bottleneck features", features, f"output of {path.bottleneck_layer}"),
        f'<div class="fork">{_top_box(path)}{_head_box(path, head)}</div>',
    ]
    arrow = '<span class="arrow">→</span>'
    return f'<div class="path">{arrow.join(trunk)}</div>'


def _box(kind: str, name: str, shape: str, detail: str, image: str = "") -> str:
    return (
        f'<div class="box {kind}">{image}<div><i>{html.escape(name)}</i><b>{html.escape(shape)}</b>'
        f"<small>{html.escape(detail)}</small></div></div>"
    )


def _top_box(path: ShapePath) -> str:
    """Return what include_top=True adds."""
    name = "include_top=True"
    if not path.top:
        return _box("pretrained", name, "not at this size", "its top has one size")
    shapes = [
        _shape(layer.output_shape)
        for layer in path.top
        if layer.parameters or layer.type.startswith("Global") or layer.type == "Flatten"
    ]
    detail = f"ImageNet's 1000 classes, {_parameters(path.top_parameters)} parameters"
    return _box("pretrained", name, " → ".join(shapes), detail)


def _head_box(path: ShapePath, head: Head) -> str:
    output = "one sigmoid unit for two classes" if head.units == 1 else f"{head.units} classes"
    used = " as in your run;" if path.pooling == head.pooling else ""
    detail = (
        f"pooling{used} takes {POOLING_TEXTS[head.pooling][1]}; dense: {output}, "
        f"{_parameters(head.parameters)} parameters"
    )
    shape = f"{_shape(head.pooled)} → {head.units}"
    return _box("head", "include_top=False, your head", shape, detail)
