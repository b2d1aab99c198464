"""The same maps twice, on one scale: before and after a run, or in two images."""

from __future__ import annotations

import streamlit as st

from tlcore.activations.tiles import Layout
from tlcore.activations.values import ActivationRequest, DisplayOptions, MapPair, Tiles
from tlcore.datasets.dataset import Sample
from tlcore.models.predictions import Layer, ModelRef
from tlcore.percentages import percent
from tlcore.settings import Settings
from tlcore.training.run import RunInfo, label_runs
from tlcore.training.store import list_runs, load_run_info
from tlcore.ui.components.damaged import show_damaged_head
from tlcore.ui.components.dataset_picker import open_dataset
from tlcore.ui.components.framing import network_view
from tlcore.ui.components.model_picker import view_of
from tlcore.ui.components.run_picker import select_head, show_no_run
from tlcore.ui.feature_maps.tiles import tiles_html
from tlcore.ui.format import label, plain, signed
from tlcore.ui.questions import activation_request, list_layers, pair_page
from tlcore.ui.state import Choice, chosen
from tlcore.ui.widgets import select

SIDE = Layout(4, 4)


def before_and_after(
    sample: Sample, look: ActivationRequest, layer: Layer, view: DisplayOptions, settings: Settings
) -> None:
    """The layer of the pretrained network, of a run, and what the run has changed."""
    info = _run(look, settings)
    if info is None:
        return
    config = info.config
    if not look.ref.run and look.ref.backbone != config.backbone:
        st.info(
            f"This run is built on {config.backbone}. Choose {config.backbone} above to compare "
            "its layers.",
            icon=":material/info:",
        )
        return
    if layer.name not in {place.layer.name for place in list_layers(info.ref, settings)}:
        st.info(
            f"{plain(layer.name)} belongs to the top that answers for ImageNet. A run has a head "
            "of its own in its place; choose an earlier layer to compare.",
            icon=":material/info:",
        )
        return
    before = ModelRef(config.backbone, config.size, config.fit, config.random_weights, top=False)
    sides = activation_request(sample, before), activation_request(sample, info.ref)
    paging = f"before-{layer.name}-{layer.output_shape[-1]}"
    pair = pair_page(*sides, layer.name, _half(view, paging), settings)
    _said(pair)
    left, right, difference = st.columns(3, gap="medium")
    with left:
        st.html('<p class="side pretrained">Before</p>')
        _tiles(pair.left, "before", "Maps of the pretrained network")
    with right:
        st.html('<p class="side head">After</p>')
        _tiles(pair.right, "after", f"Maps of {label_runs(list_runs(settings))[info.id]}")
    with difference:
        st.html('<p class="side">Difference</p>')
        _tiles(pair.difference, "difference", "After less before: blue is less, orange more")
    _pages(pair, view, paging, "Blue is less after the run, orange more.")


def two_images(
    sample: Sample, look: ActivationRequest, layer: Layer, view: DisplayOptions, settings: Settings
) -> None:
    """The layer in this image and in another one of the set."""
    other = other_image(sample, settings)
    if other is None:
        st.caption("There is only one image in this set. Add another one above.")
        return
    paging = f"images-{layer.name}-{layer.output_shape[-1]}-{sample.sha256[:8]}"
    asked = _half(view, paging)
    pair = pair_page(look, activation_request(other, look.ref), layer.name, asked, settings)
    size, fit = view_of(look.ref, settings)
    sides = ((sample, pair.left, "first"), (other, pair.right, "second"))
    for column, (shown, tiles, name) in zip(st.columns(2, gap="medium"), sides, strict=True):
        with column:
            st.image(network_view(shown, size, fit, settings), width=150, alt=shown.file)
            _tiles(tiles, name, f"Maps of {shown.file}")
    _pages(
        pair,
        view,
        paging,
        "Each channel has one scale for both images: what is brighter is stronger.",
    )


def other_image(sample: Sample, settings: Settings) -> Sample | None:
    """Choose a second image of the set; at first the next one of another class."""
    once = {found.sha256: found for found in open_dataset(chosen(Choice.DATASET), settings).samples}
    once.pop(sample.sha256, None)
    if not once:
        return None
    order = sorted(once.values(), key=lambda found: (found.label == sample.label, found.file))
    sha = select(
        "Compared with",
        [found.sha256 for found in order],
        Choice.OTHER_IMAGE,
        words=lambda sha: f"{label(once[sha].label)} · {once[sha].file.rsplit('/', 1)[-1]}",
    )
    return once[sha]


def _run(look: ActivationRequest, settings: Settings) -> RunInfo | None:
    """Return the run whose change is shown; None where it has been said why there is none."""
    if look.ref.run:
        return load_run_info(look.ref.run, settings)
    if show_damaged_head(settings):
        return None
    info = select_head(settings)
    if info is None:
        show_no_run("what it has changed is shown here")
    return info


def _half(view: DisplayOptions, paging: str) -> DisplayOptions:
    """Half as many tiles a side. It begins where the large page stands and has pages of its own."""
    page = int(st.session_state.get(_key(view, paging), _beginning(view))) - 1
    return DisplayOptions(SIDE, view.order, view.scale, view.palette, page)


def _beginning(view: DisplayOptions) -> int:
    return view.page * view.layout.tiles // SIDE.tiles + 1


def _key(view: DisplayOptions, paging: str) -> str:
    return f"pair-{paging}-{view.page}-{view.layout.tiles}"


def _pages(pair: MapPair, view: DisplayOptions, paging: str, words: str) -> None:
    """Offer the other channels, and say which these are."""
    if pair.pages > 1:
        st.pagination(pair.pages, default=min(_beginning(view), pair.pages), key=_key(view, paging))
    st.caption(f"{_which(pair, view)} {words}")


def _which(pair: MapPair, view: DisplayOptions) -> str:
    first = pair.page * SIDE.tiles + 1
    last = first + len(pair.left.channels) - 1
    order = "" if view.order == "index" else ", in the order chosen under Drawing"
    return f"{first}–{last} of {pair.channels} channels{order}."


def _tiles(tiles: Tiles, name: str, words: str) -> None:
    st.html(tiles_html(tiles, name=name, words=words))


def _said(pair: MapPair) -> None:
    """Whether the weights are the same is one fact, how far the maps differ another."""
    if pair.frozen:
        what = "exactly 0" if pair.largest == 0 else f"{signed(pair.largest)} at most: rounding"
        st.success(
            "**Frozen.** Nothing up to this layer has learned in this run: the weights are the "
            f"same bit for bit, and the difference is {what}.",
            icon=":material/ac_unit:",
        )
    else:
        st.markdown(
            f"This layer or one before it has learned. The largest difference is "
            f"**{signed(pair.largest)}**."
        )
    if pair.broken:
        st.warning(
            f"{percent(pair.broken)} of the differences are NaN or infinite, and left out of that.",
            icon=":material/warning:",
        )
