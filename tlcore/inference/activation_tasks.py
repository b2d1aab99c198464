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

from tlcore.activations import render as drawing
from tlcore.activations.channel import inspect_channel, same_weights
from tlcore.activations.extract import (
    ActivationCache,
    compute_activations,
    layer_outputs_of,
    statistics_pass_of,
    to_maps,
)
from tlcore.activations.filters import filters_at
from tlcore.activations.receptive_field import list_layers as places_of
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
from tlcore.inference.tasks import loaded_model
from tlcore.models.catalog import backbone
from tlcore.models.predictions import Floats, ModelRef
from tlcore.settings import Settings


def places(settings: Settings, ref: ModelRef) -> tuple[LayerInfo, ...]:
    """Return every layer of a network, nested models opened up."""
    found = loaded_model(settings, ref)
    return places_of(found.graph, layer_outputs_of(found).wiring)


def map_page(
    settings: Settings, look: ActivationRequest, layer: str, view: DisplayOptions
) -> MapPage:
    """Draw one page of a layer's maps."""
    maps = maps_at(settings, look, layer)
    channels, page, pages = drawing.page_of(maps, view)
    found = loaded_model(settings, look.ref)
    return MapPage(
        layer=layer,
        tiles=drawing.tiles(maps, channels, view),
        channels=maps.shape[2],
        pages=pages,
        page=page,
        source=found.source,
        note=found.note,
    )


def pair_page(
    settings: Settings,
    left: ActivationRequest,
    right: ActivationRequest,
    layer: str,
    view: DisplayOptions,
) -> MapPair:
    """Draw the same channels of two looks on one scale, and their difference.

    The channels come in the order of the left one where these are two images, as on the large
    page, and in that of the right one where these are two networks: what has learned comes first.
    """
    first, second = maps_at(settings, left, layer), maps_at(settings, right, layer)
    with np.errstate(over="ignore", invalid="ignore"):  # said in ``broken``
        difference = second - first
    channels, page, pages = drawing.page_of(first if left.ref == right.ref else second, view)
    signed = DisplayOptions(view.layout, scale="zero", palette="signed")
    return MapPair(
        layer=layer,
        left=drawing.tiles(first, channels, view, second),
        right=drawing.tiles(second, channels, view, first),
        difference=drawing.tiles(difference, channels, signed),
        largest=float(np.abs(extremes(difference)).max()),
        broken=float(broken(difference).mean()),
        frozen=_frozen(settings, left.ref, right.ref, layer),
        channels=second.shape[2],
        pages=pages,
        page=page,
    )


def channel(settings: Settings, look: ActivationRequest, layer: str, number: int) -> ChannelDetail:
    """Look at one channel, large."""
    maps = maps_at(settings, look, layer)
    field = _fields(settings, look.ref)[layer]
    return inspect_channel(maps, layer, number, field, loaded_model(settings, look.ref).size)


def numbers(settings: Settings, look: ActivationRequest) -> tuple[LayerStatistics, ...]:
    """Measure every spatial layer."""
    found = loaded_model(settings, look.ref)
    first = found.graph.spatial[0]  # the input: the very image that its maps are made of
    return statistics_pass_of(found).numbers(maps_at(settings, look, first)[None])


def filters(
    settings: Settings, ref: ModelRef, layer: str, view: DisplayOptions, of: int
) -> Filters:
    """Draw the kernels of the convolution at or before a layer."""
    found = loaded_model(settings, ref)
    bgr = backbone(found.backbone).mode == "caffe"
    return filters_at(layer_outputs_of(found).wiring, layer, view, of, bgr=bgr)


def image(settings: Settings, look: ActivationRequest, layer: str, view: DisplayOptions) -> bytes:
    """Draw one page as a PNG to keep."""
    return drawing.image(maps_at(settings, look, layer), view)


def values(settings: Settings, look: ActivationRequest, layer: str) -> bytes:
    """Return the maps as an NPZ file's bytes: ``maps``, float32 (height, width, channels)."""
    buffer = io.BytesIO()
    np.savez_compressed(buffer, maps=maps_at(settings, look, layer))
    return buffer.getvalue()


def strongest(
    settings: Settings, paths: Sequence[Path], ref: ModelRef, layer: str
) -> tuple[Floats, tuple[str, ...]]:
    """Return each channel's highest and mean value in each image, float32 (2, n, channels).

    An image that cannot be read has NaN; the names of these are returned as well.
    """
    found = loaded_model(settings, ref)
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


def kept(settings: Settings) -> tuple[int, int]:
    """Return how many bytes of maps are kept in this process, and the bound."""
    store = _kept(settings.activation_bytes)
    return store.bytes, store.bound


def maps_at(settings: Settings, look: ActivationRequest, layer: str) -> Floats:
    """Return a layer's maps for an image, computed from what is kept. Not to be written to."""
    found = loaded_model(settings, look.ref)

    def batch() -> Floats:
        data = read_bytes(look.path, look.path.name, settings.limits)
        if look.sha256 and content_id(data) != look.sha256:
            raise BadImage(
                f"{look.path.name}: Expected the image as it came into its dataset. Received "
                "another one under its name. Add it again on the Upload page."
            )
        return found.prepare([decode(data, look.path.name, settings.limits)])

    image = (look.ref, look.sha256)
    store = _kept(settings.activation_bytes) if look.sha256 else ActivationCache(0)
    return to_maps(compute_activations(found, layer, batch, image, store))


@cache
def _kept(bound: int) -> ActivationCache:
    return ActivationCache(bound)


@lru_cache(maxsize=8)
def _fields(settings: Settings, ref: ModelRef) -> dict[str, ReceptiveField]:
    found = loaded_model(settings, ref)
    fields = receptive_fields(layer_outputs_of(found).wiring)
    return {
        name: fields[layer_outputs_of(found).wiring.place[name]] for name in found.graph.spatial
    }


@lru_cache(maxsize=256)
def _frozen(settings: Settings, left: ModelRef, right: ModelRef, layer: str) -> bool:
    if left == right:
        return False
    first, second = (layer_outputs_of(loaded_model(settings, ref)) for ref in (left, right))
    return same_weights(first.wiring, second.wiring, layer)
