"""In between: how the image becomes numbers, drawn with the shapes of this very network."""

from __future__ import annotations

import html

import streamlit as st

from tlcore.datasets.dataset import Sample
from tlcore.models.catalog import MODES
from tlcore.models.predictions import Head, ModelRef, ShapePath
from tlcore.settings import Settings
from tlcore.training.config import POOLINGS
from tlcore.training.run import RunInfo
from tlcore.training.store import load_run
from tlcore.ui.components.dataset_picker import sheet
from tlcore.ui.format import duration
from tlcore.ui.questions import shape_path
from tlcore.ui.state import Choice, choose, chosen
from tlcore.ui.widgets import segments

WORDS = {
    "avg": ("Average", "the mean of each map"),
    "max": ("Maximum", "the highest value of each map"),
    "flatten": ("Flatten", "every value of every map"),
}


def shapes_view(
    sample: Sample,
    ref: ModelRef,
    run: RunInfo | None,
    wanted: int,
    settings: Settings,
) -> None:
    """Draw the path, and let the person switch whose it is and the pooling.

    Args:
        sample: the image at its beginning.
        ref: the pretrained network.
        run: whose head it ends in, if there is one.
        wanted: classes of a head that is not there yet.
        settings: where runs lie.
    """
    classes = max(2, len(load_run(run.id, settings).classes) if run else wanted)
    st.subheader("In between: how the image becomes numbers", anchor=False)
    with st.container(horizontal=True, gap="medium"):
        path = shape_path(_whose(ref, run), classes, settings)
        how = _pooling(path)
    st.html(_drawn(path, how, sheet([sample], settings)))
    st.caption(
        f"One image takes {duration(path.body_seconds)} through the network and "
        f"{duration_of(path.head_seconds)} through the head, on this machine now."
    )


def duration_of(seconds: float) -> str:
    """Return a time that may be below a millisecond: "0.3 ms"."""
    return duration(seconds) if seconds >= 0.0095 else f"{seconds * 1000:.1f} ms"


def _whose(ref: ModelRef, run: RunInfo | None) -> ModelRef:
    """The left network's path or the run's own, where they differ."""
    if run is None:
        return ref
    same = run.config.backbone == ref.backbone and run.config.size == ref.size
    if same and not run.config.fine_tune_epochs:
        return ref
    titles = {
        "pretrained": f":blue[●] {ref.backbone}, {ref.size} px",
        "head": f":orange[●] Your run: {run.config.backbone}, {run.config.size} px",
    }
    whose = segments("Whose path", list(titles), Choice.SHAPES_OF, words=lambda key: titles[key])
    return run.ref if whose == "head" else ref


def _pooling(path: ShapePath) -> Head:
    heads = {head.pooling: head for head in path.heads}
    if chosen(Choice.POOLING) not in heads:
        choose(Choice.POOLING, path.pooling or "avg")
    how = segments(
        "Pooling",
        list(POOLINGS),
        Choice.POOLING,
        words=lambda key: f"{WORDS[key][0]} · {short(heads[key].parameters)}",
    )
    return heads[how]


def short(number: int) -> str:
    """Return a count of parameters as "5,124", "250,884" or "2.26 million"."""
    return f"{number:,}" if number < 1_000_000 else f"{number / 1e6:.2f} million"


def times(shape: tuple[int | None, ...]) -> str:
    """Return a shape as "7 × 7 × 1280"."""
    return " × ".join(str(side) for side in shape)


def _drawn(path: ShapePath, head: Head, thumbnail: str) -> str:
    """The path as HTML: a trunk of boxes, then ImageNet's top and one's own head side by side."""
    face = f'<span class="face" style="background-image:url({thumbnail})"></span>'
    trunk = [
        _box("image", "Image", times(path.input), "RGB, 0 to 255", face),
        _box("", "Preprocess", times(path.input), MODES[path.mode]),
        _box("body", path.backbone, f"{short(path.body_parameters)} parameters", _frozen(path)),
        _box("", "Bottleneck features", times(path.bottleneck), f"out of {path.bottleneck_layer}"),
    ]
    arrow = '<span class="arrow">→</span>'
    fork = f'<div class="fork">{_top(path)}{_head(path, head)}</div>'
    return f'<div class="path">{arrow.join([*trunk, fork])}</div>'


def _box(kind: str, name: str, big: str, small: str, before: str = "") -> str:
    return (
        f'<div class="box {kind}">{before}<div><i>{html.escape(name)}</i><b>{html.escape(big)}</b>'
        f"<small>{html.escape(small)}</small></div></div>"
    )


def _frozen(path: ShapePath) -> str:
    layers = f"{path.body_layers} layers"
    if not path.learned_parameters:
        return f"{layers}, all frozen"
    return (
        f"{layers}; {short(path.learned_parameters)} parameters learned with the head, "
        f"from {path.learned_from} on; the rest frozen"
    )


def _top(path: ShapePath) -> str:
    """What include_top=True puts there."""
    if not path.top:
        return _box("pretrained", "include_top=True", "not at this size", "its top is tied to one")
    steps = " → ".join(
        times(layer.output_shape) for layer in path.top if layer.parameters or _pools(layer.type)
    )
    return _box(
        "pretrained",
        "include_top=True",
        f"{steps}",
        f"ImageNet's 1000 classes, {short(path.top_parameters)} parameters",
    )


def _pools(kind: str) -> bool:
    return kind.startswith("Global") or kind == "Flatten"


def _head(path: ShapePath, head: Head) -> str:
    one = head.units == 1
    what = "a sigmoid unit for two classes" if one else f"{head.units} classes"
    _, meaning = WORDS[head.pooling]
    used = " as your run has it;" if path.pooling == head.pooling else ""
    return _box(
        "head",
        "include_top=False, your head",
        f"{times(head.pooled)} → {head.units}",
        f"pooling{used} takes {meaning}; dense: {what}, {short(head.parameters)} parameters",
    )
