"""What the inference worker can be asked about feature maps; drawn here, so that little is sent.

What has been computed stays in this process, up to ``settings.activation_bytes``, under the
image's content, the network with its size and geometry, and the layer.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from functools import cache, lru_cache
from pathlib import Path

import numpy as np

from tlcore.activations import channel as channels
from tlcore.activations import receptive_field
from tlcore.activations import render as drawing
from tlcore.activations.channel import same_weights
from tlcore.activations.extract import (
    ActivationCache,
    compute_activations,
    layer_outputs_of,
    statistics_pass_of,
    to_maps,
)
from tlcore.activations.filters import filters_at
from tlcore.activations.receptive_field import receptive_fields
from tlcore.activations.tiles import broken, extremes
from tlcore.activations.values import (
    ActivationRequest,
    ChannelDetail,
    DisplayOptions,
    Filters,
    LayerInfo,
    LayerStatistics,
    MapPage,
    MapPair,
    ReceptiveField,
)
from tlcore.datasets.image_io import content_id, decode, read, read_bytes
from tlcore.errors import BadImage
from tlcore.inference.tasks import load_model
from tlcore.models.catalog import backbone
from tlcore.models.predictions import Floats, ModelRef
from tlcore.settings import Settings


def list_layers(ref: ModelRef, settings: Settings) -> tuple[LayerInfo, ...]:
    """Return every layer of a network, nested models opened up."""
    found = load_model(ref, settings)
    return receptive_field.list_layers(found.graph, layer_outputs_of(found).wiring)


def draw_maps(
    look: ActivationRequest, layer: str, view: DisplayOptions, settings: Settings
) -> MapPage:
    """Draw one page of a layer's maps."""
    maps = compute_maps(look, layer, settings)
    shown, page, pages = drawing.page_of(maps, view)
    found = load_model(look.ref, settings)
    return MapPage(
        layer=layer,
        tiles=drawing.tiles(maps, shown, view),
        channels=maps.shape[2],
        pages=pages,
        page=page,
        source=found.source,
        note=found.note,
    )


def draw_layer(
    look: ActivationRequest, layer: str, view: DisplayOptions, settings: Settings
) -> tuple[MapPage, ChannelDetail]:
    """Draw one page of a layer's maps, and the first channel of that page large."""
    page = draw_maps(look, layer, view, settings)
    return page, inspect_channel(look, layer, page.tiles.channels[0], settings)


def draw_comparison(
    left: ActivationRequest,
    right: ActivationRequest,
    layer: str,
    view: DisplayOptions,
    settings: Settings,
) -> MapPair:
    """Draw the same channels of two looks on one scale, and their difference.

    The channels come in the order of the left one where these are two images, as on the large
    page, and in that of the right one where these are two networks: what has learned comes first.
    """
    first, second = compute_maps(left, layer, settings), compute_maps(right, layer, settings)
    with np.errstate(over="ignore", invalid="ignore"):  # said in ``broken``
        difference = second - first
    shown, page, pages = drawing.page_of(first if left.ref == right.ref else second, view)
    signed = DisplayOptions(view.layout, scale="zero", palette="signed")
    return MapPair(
        layer=layer,
        left=drawing.tiles(first, shown, view, second),
        right=drawing.tiles(second, shown, view, first),
        difference=drawing.tiles(difference, shown, signed),
        largest=float(np.abs(extremes(difference)).max()),
        broken=float(broken(difference).mean()),
        frozen=_frozen(left.ref, right.ref, layer, settings),
        channels=second.shape[2],
        pages=pages,
        page=page,
    )


def inspect_channel(
    look: ActivationRequest, layer: str, number: int, settings: Settings
) -> ChannelDetail:
    """Look at one channel, large."""
    maps = compute_maps(look, layer, settings)
    field = _fields(look.ref, settings)[layer]
    return channels.inspect_channel(maps, layer, number, field, load_model(look.ref, settings).size)


def measure_layers(look: ActivationRequest, settings: Settings) -> tuple[LayerStatistics, ...]:
    """Measure every spatial layer."""
    found = load_model(look.ref, settings)
    first = found.graph.spatial[0]  # the input: the very image that its maps are made of
    return statistics_pass_of(found).numbers(compute_maps(look, first, settings)[None])


def draw_filters(
    ref: ModelRef, layer: str, view: DisplayOptions, of: int, settings: Settings
) -> Filters:
    """Draw the kernels of the convolution at or before a layer."""
    found = load_model(ref, settings)
    bgr = backbone(found.backbone).mode == "caffe"
    return filters_at(layer_outputs_of(found).wiring, layer, view, of, bgr=bgr)


def render_png(
    look: ActivationRequest, layer: str, view: DisplayOptions, settings: Settings
) -> bytes:
    """Draw one page as a PNG to keep."""
    return drawing.image(compute_maps(look, layer, settings), view)


def export_maps(look: ActivationRequest, layer: str, settings: Settings) -> bytes:
    """Return the maps as an NPZ file's bytes: ``maps``, float32 (height, width, channels)."""
    buffer = io.BytesIO()
    np.savez_compressed(buffer, maps=compute_maps(look, layer, settings))
    return buffer.getvalue()


def measure_images(
    paths: Sequence[Path], ref: ModelRef, layer: str, settings: Settings
) -> tuple[Floats, tuple[str, ...]]:
    """Return each channel's highest and mean value in each image, float32 (2, n, channels).

    An image that cannot be read has NaN; the names of these are returned as well.
    """
    found = load_model(ref, settings)
    found.graph.check_spatial(layer)
    images, good, bad = [], [], []
    for place, path in enumerate(paths):
        try:
            images.append(read(path, settings.limits))
            good.append(place)
        except BadImage:
            bad.append(path.name)
    channels = found.graph.outputs[layer].shape[-1]
    values = np.full((2, len(paths), channels), np.nan, np.float32)
    if images:
        maps = compute_activations(
            found, layer, lambda: found.prepare(images), "", ActivationCache(0)
        )
        stacks = np.asarray(memoryview(maps))
        values[0, good] = stacks.max(axis=(1, 2))
        values[1, good] = stacks.mean(axis=(1, 2), dtype=np.float64)
    return values, tuple(bad)


def cache_usage(settings: Settings) -> tuple[int, int]:
    """Return how many bytes of maps are kept in this process, and the bound."""
    store = _cache(settings.activation_bytes)
    return store.bytes, store.bound


def compute_maps(look: ActivationRequest, layer: str, settings: Settings) -> Floats:
    """Return a layer's maps for an image, computed from what is kept. Not to be written to."""
    found = load_model(look.ref, settings)

    def batch() -> Floats:
        data = read_bytes(look.path, look.path.name, settings.limits)
        if look.sha256 and content_id(data) != look.sha256:
            raise BadImage(
                f"{look.path.name}: Expected the image as it came into its dataset. Received "
                "another one under its name. Add it again on the Upload page."
            )
        return found.prepare([decode(data, look.path.name, settings.limits)])

    image = (look.ref, look.sha256)
    store = _cache(settings.activation_bytes) if look.sha256 else ActivationCache(0)
    return to_maps(compute_activations(found, layer, batch, image, store))


@cache
def _cache(bound: int) -> ActivationCache:
    return ActivationCache(bound)


@lru_cache(maxsize=8)
def _fields(ref: ModelRef, settings: Settings) -> dict[str, ReceptiveField]:
    found = load_model(ref, settings)
    fields = receptive_fields(layer_outputs_of(found).wiring)
    return {
        name: fields[layer_outputs_of(found).wiring.place[name]] for name in found.graph.spatial
    }


@lru_cache(maxsize=256)
def _frozen(left: ModelRef, right: ModelRef, layer: str, settings: Settings) -> bool:
    if left == right:
        return False
    first, second = (layer_outputs_of(load_model(ref, settings)) for ref in (left, right))
    return same_weights(first.wiring, second.wiring, layer)
