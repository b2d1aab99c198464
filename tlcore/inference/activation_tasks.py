"""What the inference worker computes and draws of feature maps; only small pixels are sent.

Activations stay in this process, up to ``settings.activation_bytes``, under the image's content,
the model with its size and geometry, and the layer.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from contextlib import suppress
from functools import cache, lru_cache
from pathlib import Path

import numpy as np

from tlcore.activations import channel, filters, layers
from tlcore.activations.extract import (
    ActivationCache,
    get_layer_outputs,
    to_array,
)
from tlcore.activations.layers import (
    LayerInfo,
    LayerStatistics,
    ReceptiveField,
    compute_receptive_fields,
    have_same_weights,
    measure_layer,
)
from tlcore.activations.render import (
    extremes,
    render_page,
    render_tiles,
    select_channels,
    share_not_finite,
)
from tlcore.activations.values import (
    ActivationRequest,
    ChannelDetail,
    DisplayOptions,
    Filters,
    MapPage,
    MapPair,
)
from tlcore.datasets.image_io import content_id, decode_image, read_bytes, read_image
from tlcore.errors import BadImage
from tlcore.models.catalog import get_backbone
from tlcore.models.predictions import Floats, ModelRef
from tlcore.settings import Settings
from tlcore.training.transfer_model import load_model


def list_layers(ref: ModelRef, settings: Settings) -> tuple[LayerInfo, ...]:
    """Return every layer of a model."""
    return layers.list_layers(get_layer_outputs(load_model(ref, settings)).graph)


def draw_maps(
    request: ActivationRequest, layer: str, view: DisplayOptions, settings: Settings
) -> MapPage:
    """Draw one page of a layer's maps."""
    maps = compute_maps(request, layer, settings)
    loaded = load_model(request.ref, settings)
    channels = maps.shape[2]
    return MapPage(
        layer=layer,
        tiles=render_tiles(maps, select_channels(maps, view), view),
        channels=channels,
        pages=view.layout.pages(channels),
        page=view.page_number(channels),
        source=loaded.source,
        note=loaded.note,
    )


def draw_layer(
    request: ActivationRequest, layer: str, view: DisplayOptions, settings: Settings
) -> tuple[MapPage, ChannelDetail]:
    """Draw one page of a layer's maps, and the first channel of that page large."""
    page = draw_maps(request, layer, view, settings)
    return page, inspect_channel(request, layer, page.tiles.channels[0], settings)


def draw_comparison(
    left: ActivationRequest,
    right: ActivationRequest,
    layer: str,
    view: DisplayOptions,
    settings: Settings,
) -> MapPair:
    """Draw the same channels of two requests on one scale, and their difference.

    The channels come in the order of the left one where these are two images, as on the large
    page, and in that of the right one where these are two models: what has learned comes first.
    """
    first, second = (compute_maps(each, layer, settings) for each in (left, right))
    with np.errstate(over="ignore", invalid="ignore"):  # counted in ``not_finite``
        difference = second - first
    shown = select_channels(first if left.ref == right.ref else second, view)
    signed = DisplayOptions(view.layout, scale="zero", palette="signed")
    channels = second.shape[2]
    return MapPair(
        layer=layer,
        left=render_tiles(first, shown, view, second),
        right=render_tiles(second, shown, view, first),
        difference=render_tiles(difference, shown, signed),
        largest=float(np.abs(extremes(difference)).max()),
        not_finite=float(share_not_finite(difference).mean()),
        frozen=_is_frozen(left.ref, right.ref, layer, settings),
        channels=channels,
        pages=view.layout.pages(channels),
        page=view.page_number(channels),
    )


def inspect_channel(
    request: ActivationRequest, layer: str, number: int, settings: Settings
) -> ChannelDetail:
    """Return one channel, large, with its histogram and its strongest place."""
    maps = compute_maps(request, layer, settings)
    field = _receptive_fields(request.ref, settings)[layer]
    size = load_model(request.ref, settings).size
    return channel.inspect_channel(maps, layer, number, field, size)


def measure_layers(request: ActivationRequest, settings: Settings) -> tuple[LayerStatistics, ...]:
    """Return the statistics of every spatial layer."""
    names = load_model(request.ref, settings).spatial_layers
    return tuple(measure_layer(name, compute_maps(request, name, settings)) for name in names)


def draw_filters(
    ref: ModelRef, layer: str, view: DisplayOptions, output_channel: int, settings: Settings
) -> Filters:
    """Draw the kernels of the convolution at or before a layer."""
    loaded = load_model(ref, settings)
    bgr = get_backbone(loaded.backbone).mode == "caffe"
    return filters.render_filters_at(
        get_layer_outputs(loaded).graph, layer, view, output_channel, bgr=bgr
    )


def render_png(
    request: ActivationRequest, layer: str, view: DisplayOptions, settings: Settings
) -> bytes:
    """Return one page as a PNG file."""
    return render_page(compute_maps(request, layer, settings), view)


def export_maps(request: ActivationRequest, layer: str, settings: Settings) -> bytes:
    """Return the maps as an NPZ file's bytes: ``maps``, float32 (height, width, channels)."""
    buffer = io.BytesIO()
    np.savez_compressed(buffer, maps=compute_maps(request, layer, settings))
    return buffer.getvalue()


def measure_images(paths: Sequence[Path], ref: ModelRef, layer: str, settings: Settings) -> Floats:
    """Return each channel's highest and mean value in each image, float32 (2, n, channels).

    An image that cannot be read has NaN.
    """
    loaded = load_model(ref, settings)
    values = np.full((2, len(paths), loaded.output(layer).shape[-1]), np.nan, np.float32)
    images = {}
    for place, path in enumerate(paths):
        with suppress(BadImage):
            images[place] = read_image(path, settings.limits)
    if images:
        outputs, batch = get_layer_outputs(loaded), loaded.prepare([*images.values()])
        maps = to_array(outputs.compute_batch(layer, batch))
        values[0, [*images]] = maps.max(axis=(1, 2))
        values[1, [*images]] = maps.mean(axis=(1, 2), dtype=np.float64)
    return values


def cache_usage(settings: Settings) -> tuple[int, int]:
    """Return how many bytes of activations this process holds, and the bound."""
    cached = _cache(settings.activation_bytes)
    return cached.bytes, cached.bound


def compute_maps(request: ActivationRequest, layer: str, settings: Settings) -> Floats:
    """Return a layer's maps for an image, (height, width, channels). Not to be written to.

    Raises:
        UnknownName: no such layer, or its output is no stack of maps.
        BadImage: the file cannot be read, or has other bytes than requested.
    """
    loaded = load_model(request.ref, settings)
    loaded.output(layer)  # it exists

    def batch() -> Floats:
        data = read_bytes(request.path, request.path.name, settings.limits)
        if request.sha256 and content_id(data) != request.sha256:
            raise BadImage(
                f"{request.path.name} is no longer the image that was added to its dataset: "
                "another one has its name. Add it again on the Upload page."
            )
        return loaded.prepare([decode_image(data, request.path.name, settings.limits)])

    cached = _cache(settings.activation_bytes) if request.sha256 else ActivationCache(0)
    image = (request.ref, request.sha256)
    return to_array(get_layer_outputs(loaded).compute(layer, batch, image, cached))[0]


@cache
def _cache(bound: int) -> ActivationCache:
    return ActivationCache(bound)


@lru_cache(maxsize=8)
def _receptive_fields(ref: ModelRef, settings: Settings) -> dict[str, ReceptiveField]:
    return compute_receptive_fields(get_layer_outputs(load_model(ref, settings)).graph)


@lru_cache(maxsize=256)
def _is_frozen(left: ModelRef, right: ModelRef, layer: str, settings: Settings) -> bool:
    if left == right:
        return False
    graphs = [get_layer_outputs(load_model(ref, settings)).graph for ref in (left, right)]
    return have_same_weights(graphs[0], graphs[1], layer)
