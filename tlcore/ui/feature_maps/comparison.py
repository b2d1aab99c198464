"""The same maps twice, on one scale: before and after a run, or in two images."""

from __future__ import annotations

import streamlit as st

from tlcore.activations.values import ActivationRequest, DisplayOptions, Layout, MapPair
from tlcore.datasets.dataset import Sample
from tlcore.models.predictions import ModelRef
from tlcore.models.summary import Layer
from tlcore.percentages import percent
from tlcore.settings import Settings
from tlcore.training.run import RunInfo, label_runs
from tlcore.training.store import list_runs, load_run_info
from tlcore.ui.components.dataset_picker import open_dataset
from tlcore.ui.components.framing import model_input_png
from tlcore.ui.components.model_picker import input_geometry
from tlcore.ui.components.run_picker import select_head, show_damaged_head, show_no_run
from tlcore.ui.feature_maps.tiles import tiles_html
from tlcore.ui.format import escape_md, label, signed
from tlcore.ui.inference_requests import activation_request, list_layers, pair_page
from tlcore.ui.state import Choice, chosen
from tlcore.ui.widgets import select

HALF = Layout(4, 4)  # of the large page, so that two or three stand side by side


def before_and_after(
    sample: Sample,
    request: ActivationRequest,
    layer: Layer,
    view: DisplayOptions,
    settings: Settings,
) -> None:
    """Draw the layer of the pretrained backbone and of a run, and their difference."""
    info = _run(request, settings)
    if info is None:
        return
    config = info.config
    reason = _not_comparable(request, layer, info, settings)
    if reason:
        st.info(reason, icon=":material/info:")
        return
    before = ModelRef(config.backbone, config.size, config.fit, config.random_weights, top=False)
    requests = activation_request(sample, before), activation_request(sample, info.ref)
    paging = f"before-{layer.name}-{layer.output_shape[-1]}"
    pair = pair_page(*requests, layer.name, _half_page(view, paging), settings)
    _draw_change(pair)
    title = label_runs(list_runs(settings))[info.id]
    sides = (
        ("Before", "pretrained", pair.left, "Maps of the pretrained network"),
        ("After", "head", pair.right, f"Maps of {title}"),
        ("Difference", "", pair.difference, "After minus before: blue is less, orange more"),
    )
    for column, (name, kind, tiles, alt) in zip(st.columns(3, gap="medium"), sides, strict=True):
        with column:
            st.html(f'<p class="side {kind}">{name}</p>')
            st.html(tiles_html(tiles, name=name.lower(), alt=alt))
    _paging(pair, view, paging, "Blue is less after the run, orange more.")


def _run(request: ActivationRequest, settings: Settings) -> RunInfo | None:
    """Return the run to compare; None where a message says why there is none."""
    if request.ref.run:
        return load_run_info(request.ref.run, settings)
    if show_damaged_head(settings):
        return None
    info = select_head(settings)
    if info is None:
        show_no_run("what it has changed is shown here")
    return info


def _not_comparable(
    request: ActivationRequest, layer: Layer, info: RunInfo, settings: Settings
) -> str:
    """Return why this layer cannot be compared with a run's, "" if it can."""
    backbone = info.config.backbone
    if not request.ref.run and request.ref.backbone != backbone:
        return f"This run is built on {backbone}. Choose {backbone} above to compare its layers."
    if layer.name not in {place.layer.name for place in list_layers(info.ref, settings)}:
        return (
            f"{escape_md(layer.name)} belongs to ImageNet's top, which the run has replaced by its "
            "own head. Choose an earlier layer to compare."
        )
    return ""


def _draw_change(pair: MapPair) -> None:
    """State whether the weights are the same, and by how much the maps differ."""
    if pair.frozen:
        difference = (
            "exactly 0" if pair.largest == 0 else f"{signed(pair.largest)} at most: rounding"
        )
        st.success(
            "**Frozen.** No weight up to this layer was trained in this run: the weights are "
            f"bit-identical, and the difference is {difference}.",
            icon=":material/ac_unit:",
        )
    else:
        st.markdown(
            "This layer or one before it was fine-tuned. The largest difference is "
            f"**{signed(pair.largest)}**."
        )
    if pair.not_finite:
        st.warning(
            f"{percent(pair.not_finite)} of the differences are NaN or infinite, and left out.",
            icon=":material/warning:",
        )


def two_images(
    sample: Sample,
    request: ActivationRequest,
    layer: Layer,
    view: DisplayOptions,
    settings: Settings,
) -> None:
    """Draw the layer in this image and in another one of the dataset."""
    other = other_image(sample, settings)
    if other is None:
        st.caption("There is only one image in this dataset. Add another one above.")
        return
    paging = f"images-{layer.name}-{layer.output_shape[-1]}-{sample.sha256[:8]}"
    options = _half_page(view, paging)
    pair = pair_page(request, activation_request(other, request.ref), layer.name, options, settings)
    size, fit = input_geometry(request.ref, settings)
    sides = ((sample, pair.left, "first"), (other, pair.right, "second"))
    for column, (shown, tiles, name) in zip(st.columns(2, gap="medium"), sides, strict=True):
        with column, st.container(horizontal=True, vertical_alignment="center", gap="small"):
            st.image(model_input_png(shown, size, fit, settings), width=72, alt=shown.file)
            st.markdown(escape_md(label(shown.label)), width="content")
        column.html(tiles_html(tiles, name=name, alt=f"Maps of {shown.file}"))
    note = "Each channel has one scale for both images: brighter is stronger."
    _paging(pair, view, paging, note)


def other_image(sample: Sample, settings: Settings) -> Sample | None:
    """Choose a second image of the dataset; at first the next one of another class."""
    samples = open_dataset(chosen(Choice.DATASET), settings).samples
    others = {other.sha256: other for other in samples if other.sha256 != sample.sha256}
    if not others:
        return None
    order = sorted(others.values(), key=lambda other: (other.label == sample.label, other.file))
    sha = select(
        "Compared with",
        [other.sha256 for other in order],
        Choice.OTHER_IMAGE,
        words=lambda sha: f"{label(others[sha].label)} · {others[sha].file.rsplit('/', 1)[-1]}",
    )
    return others[sha]


def _half_page(view: DisplayOptions, paging: str) -> DisplayOptions:
    """Return a page of half as many tiles; its first channels are those of the large page."""
    page = int(st.session_state.get(_paging_key(view, paging), first_half_page(view))) - 1
    return DisplayOptions(HALF, view.order, view.scale, view.palette, page)


def first_half_page(view: DisplayOptions) -> int:
    """Return the half page, from 1, on which the large page's first channel stands."""
    return view.page * view.layout.tiles // HALF.tiles + 1


def _paging_key(view: DisplayOptions, paging: str) -> str:
    return f"pair-{paging}-{view.page}-{view.layout.tiles}"


def _paging(pair: MapPair, view: DisplayOptions, paging: str, note: str) -> None:
    """Offer the other channels, and name those that are shown."""
    if pair.pages > 1:
        default = min(first_half_page(view), pair.pages)
        st.pagination(pair.pages, default=default, key=_paging_key(view, paging))
    st.caption(f"{channels_text(pair, view)} {note}")


def channels_text(pair: MapPair, view: DisplayOptions) -> str:
    """Return which channels are shown, of how many."""
    first = pair.page * HALF.tiles + 1
    last = first + len(pair.left.channels) - 1
    order = "" if view.order == "index" else ", in the order chosen under Display"
    return f"{first}–{last} of {pair.channels} channels{order}."
