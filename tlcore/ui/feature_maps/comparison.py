"""The same maps twice, on one scale: before and after a run, or in two images."""

from __future__ import annotations

from dataclasses import replace

import streamlit as st

from tlcore.activations.values import DisplayOptions, Layout, MapPair
from tlcore.datasets.dataset import Sample
from tlcore.models.predictions import ModelRef
from tlcore.percentages import percent
from tlcore.settings import Settings
from tlcore.training.run import label_runs
from tlcore.training.store import list_runs, load_run, load_run_info
from tlcore.ui.components.dataset_picker import open_dataset
from tlcore.ui.components.framing import model_input_png
from tlcore.ui.components.model_picker import input_geometry
from tlcore.ui.components.run_picker import choose_head
from tlcore.ui.feature_maps.controls import Shown, go_to
from tlcore.ui.feature_maps.tiles import tiles_html
from tlcore.ui.format import escape_md, label, signed
from tlcore.ui.inference_requests import activation_request, ask, list_layers
from tlcore.ui.state import Choice, chosen, set_flag, take_flag
from tlcore.ui.widgets import select

FIND = "find a layer that learned"  # flag of the session
HALF = Layout(4, 4)  # of the large page, so that two or three stand side by side


def before_and_after(shown: Shown) -> None:
    """Draw the layer of the pretrained backbone and of a run, and their difference."""
    run, layer, settings = shown.request.ref.run, shown.layer.name, shown.settings
    then = "what it has changed is shown here"
    info = load_run_info(run, settings) if run else choose_head(settings, then)
    if info is None:
        return
    config = info.config
    layers = {place.layer.name: place.layer for place in list_layers(info.ref, settings)}
    reason = ""
    if not run and shown.request.ref.backbone != config.backbone:
        name = config.backbone
        reason = f"This run is built on {name}. Choose {name} above to compare its layers."
    elif layer not in layers:
        reason = (
            f"{escape_md(layer)} belongs to ImageNet's top, which the run has replaced by its own "
            "head. Choose an earlier layer to compare."
        )
    if reason:
        st.info(reason, icon=":material/info:")
        return
    trained = (n for n, e in layers.items() if e.trainable and e.parameters and e.spatial)
    # Where fine-tuning did not help, the kept weights are those of the head stage.
    learned = next(trained, "") if load_run(info.id, settings).unfrozen_from else ""
    if take_flag(FIND) and learned and list(layers).index(layer) < list(layers).index(learned):
        go_to(learned)
        st.rerun()
    before = ModelRef(config.backbone, config.size, config.fit, config.random_weights, top=False)
    left, right = (activation_request(shown.sample, ref) for ref in (before, info.ref))
    options, key = _half_page(shown, "before")
    pair = ask("draw_comparison", left, right, layer, options, settings=settings)
    _draw_change(pair)
    if pair.frozen and learned:
        words = f"Go to {learned}, the first layer that learned"
        st.button(words, key="first-learned", on_click=go_to, args=(learned,))
    title = label_runs(list_runs(settings))[info.id]
    sides = (
        ("Before", "pretrained", pair.left, "Maps of the pretrained network"),
        ("After", "head", pair.right, f"Maps of {title}"),
        ("Difference", "", pair.difference, "After minus before: magenta is less, green more"),
    )
    for column, (name, kind, tiles, alt) in zip(st.columns(3, gap="medium"), sides, strict=True):
        column.html(f'<p class="side {kind}">{name}</p>')
        column.html(tiles_html(tiles, name=name.lower(), alt=alt))
    _paging(pair, shown.options, key, "Magenta is less after the run, green more.")


def find_change() -> None:
    """Let *Before / after* open on a layer that learned, once it has been chosen by hand."""
    set_flag(FIND, chosen(Choice.MAPS_VIEW) == "before")


def _draw_change(pair: MapPair) -> None:
    """State whether the weights are the same, and by how much the maps differ."""
    largest = signed(pair.largest)
    if pair.frozen:
        difference = "exactly 0" if pair.largest == 0 else f"{largest} at most: rounding"
        st.success(
            "**Frozen.** No weight up to this layer was trained in this run: the weights are "
            f"bit-identical, and the difference is {difference}.",
            icon=":material/ac_unit:",
        )
    else:
        st.markdown(
            f"This layer or one before it was fine-tuned. The largest difference is **{largest}**."
        )
    if pair.not_finite:
        words = f"{percent(pair.not_finite)} of the differences are NaN or infinite, and left out."
        st.warning(words, icon=":material/warning:")


def two_images(shown: Shown) -> None:
    """Draw the layer in this image and in another one of the dataset."""
    sample, request, settings = shown.sample, shown.request, shown.settings
    other = other_image(sample, settings)
    if other is None:
        st.caption("There is only one image in this dataset. Add another one above.")
        return
    options, key = _half_page(shown, f"images-{sample.sha256[:8]}")
    second = activation_request(other, request.ref)
    both = (request, second, shown.layer.name, options)
    pair = ask("draw_comparison", *both, settings=settings)
    size, fit = input_geometry(request.ref, settings)
    sides = ((sample, pair.left, "first"), (other, pair.right, "second"))
    for column, (each, tiles, name) in zip(st.columns(2, gap="medium"), sides, strict=True):
        with column, st.container(horizontal=True, vertical_alignment="center", gap="small"):
            st.image(model_input_png(each, size, fit, settings), width=72, alt=each.file)
            st.markdown(escape_md(label(each.label)), width="content")
        column.html(tiles_html(tiles, name=name, alt=f"Maps of {each.file}"))
    note = "Each channel has one scale for both images: brighter is stronger."
    _paging(pair, shown.options, key, note)


def other_image(sample: Sample, settings: Settings) -> Sample | None:
    """Choose a second image of the dataset; at first the next one of another class."""
    samples = open_dataset(chosen(Choice.DATASET), settings).samples
    order = sorted(samples, key=lambda other: (other.label == sample.label, other.file))
    others = {other.sha256: other for other in order if other.sha256 != sample.sha256}
    if not others:
        return None
    sha = select(
        "Compared with",
        list(others),
        Choice.OTHER_IMAGE,
        words=lambda sha: f"{label(others[sha].label)} · {others[sha].file.rsplit('/', 1)[-1]}",
    )
    return others[sha]


def _half_page(shown: Shown, kind: str) -> tuple[DisplayOptions, str]:
    """Return a page of half as many tiles, first where the large page begins, and its key."""
    view, channels = shown.options, shown.layer.output_shape[-1]
    key = f"pair-{kind}-{shown.layer.name}-{channels}-{view.page}-{view.layout.tiles}"
    page = int(st.session_state.get(key, first_half_page(view))) - 1
    return replace(view, layout=HALF, page=page), key


def first_half_page(view: DisplayOptions) -> int:
    """Return the half page, from 1, on which the large page's first channel stands."""
    return view.page * view.layout.tiles // HALF.tiles + 1


def _paging(pair: MapPair, view: DisplayOptions, key: str, note: str) -> None:
    """Offer the other channels, and name those that are shown."""
    if pair.pages > 1:
        st.pagination(pair.pages, default=min(first_half_page(view), pair.pages), key=key)
    st.caption(f"{channels_text(pair, view)} {note}")


def channels_text(pair: MapPair, view: DisplayOptions) -> str:
    """Return which channels are shown, of how many."""
    first = pair.page * HALF.tiles + 1
    last = first + len(pair.left.channels) - 1
    order = "" if view.order == "index" else ", in the order chosen under Display"
    return f"{first}–{last} of {pair.channels} channels{order}."
