"""The same maps twice, on one scale: before and after a run, or in two pictures."""

from __future__ import annotations

import streamlit as st

from tlcore.images.dataset import Sample
from tlcore.networks.answers import Layer, Pretrained, Trained
from tlcore.networks.grid import Layout
from tlcore.networks.maps.values import Look, Pair, Tiles, View
from tlcore.runs.store import run_info
from tlcore.settings import Settings
from tlcore.ui.maps.answers import look_of, pair_page
from tlcore.ui.maps.tiles import tiles_html
from tlcore.ui.networks import head_select, run_title, view_of
from tlcore.ui.seen import network_view
from tlcore.ui.selecting import select
from tlcore.ui.sets import open_set
from tlcore.ui.shell import TUNE
from tlcore.ui.state import Choice, chosen
from tlcore.ui.words import label, signed

SIDE = Layout(4, 4)


def before_and_after(
    sample: Sample, look: Look, layer: Layer, view: View, settings: Settings
) -> None:
    """The layer of the pretrained network, of a run, and what the run has changed."""
    run = look.ref.run if isinstance(look.ref, Trained) else _run(settings)
    if not run:
        st.markdown("**No run of your own yet.** After one, what it has changed is shown here.")
        st.page_link(TUNE.file, label="Fine-tune a head", icon=TUNE.icon)
        return
    config = run_info(run, settings).config
    if isinstance(look.ref, Pretrained) and look.ref.backbone != config.backbone:
        st.info(
            f"This run is built on {config.backbone}. Choose {config.backbone} above to compare "
            "its layers.",
            icon=":material/info:",
        )
        return
    before = Pretrained(config.backbone, config.size, config.fit, config.random_weights, top=False)
    pair = pair_page(
        look_of(sample, before), look_of(sample, Trained(run)), layer.name, _half(view), settings
    )
    _said(pair)
    left, right, difference = st.columns(3, gap="medium")
    with left:
        st.html('<p class="side pretrained">Before</p>')
        _tiles(pair.left, "before", "Maps of the pretrained network")
    with right:
        st.html('<p class="side head">After</p>')
        _tiles(pair.right, "after", f"Maps of {run_title(run_info(run, settings))}")
    with difference:
        st.html('<p class="side">Difference</p>')
        _tiles(pair.difference, "difference", "After less before: blue is less, orange more")


def two_images(sample: Sample, look: Look, layer: Layer, view: View, settings: Settings) -> None:
    """The layer in this picture and in another one of the set."""
    other = other_picture(sample, settings)
    if other is None:
        st.caption("There is only one picture in this set. Add another one above.")
        return
    pair = pair_page(look, look_of(other, look.ref), layer.name, _half(view), settings)
    size, fit = view_of(look.ref, settings)
    sides = ((sample, pair.left, "first"), (other, pair.right, "second"))
    for column, (shown, tiles, name) in zip(st.columns(2, gap="medium"), sides, strict=True):
        with column:
            st.image(network_view(shown, size, fit, settings), width=150, alt=shown.file)
            _tiles(tiles, name, f"Maps of {shown.file}")
    st.caption("Each channel has one scale for both pictures: what is brighter is stronger.")


def other_picture(sample: Sample, settings: Settings) -> Sample | None:
    """Choose a second picture of the set; at first the next one of another class."""
    once = {found.sha256: found for found in open_set(chosen(Choice.SET), settings).samples}
    once.pop(sample.sha256, None)
    if not once:
        return None
    order = sorted(once.values(), key=lambda found: (found.label == sample.label, found.file))
    sha = select(
        "Compared with",
        [found.sha256 for found in order],
        Choice.OTHER,
        words=lambda sha: f"{label(once[sha].label)} · {once[sha].file.rsplit('/', 1)[-1]}",
    )
    return once[sha]


def _run(settings: Settings) -> str:
    info = head_select(settings)
    return info.id if info else ""


def _half(view: View) -> View:
    return View(SIDE, view.order, view.scale, view.palette, view.page)


def _tiles(tiles: Tiles, name: str, words: str) -> None:
    st.html(tiles_html(tiles, name=name, words=words))


def _said(pair: Pair) -> None:
    if pair.frozen and pair.largest == 0:
        st.success(
            "**Frozen.** Nothing up to this layer has learned in this run: the weights are the "
            "same bit for bit, and the difference is exactly 0.",
            icon=":material/ac_unit:",
        )
    else:
        st.markdown(
            f"This layer or one before it has learned. The largest difference is "
            f"**{signed(pair.largest)}**."
        )
