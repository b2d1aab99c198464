"""What the process with TensorFlow does for a page: explanations, feature maps, and predictions of
models that are not converted.

A page sends the name of a function of this module, or "module:function" of another one, with its
arguments; see ``client``. Loaded models stay in this process, and activations up to
``settings.activation_bytes``; of feature maps only small pixels are sent.
"""

from __future__ import annotations

import io
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from functools import cache, lru_cache
from pathlib import Path

import numpy as np
from PIL.Image import Image

from tlcore.activations import channel, filters, layers, render
from tlcore.activations.extract import ActivationCache, get_layer_outputs, to_array
from tlcore.activations.layers import LayerInfo, LayerStatistics, ReceptiveField
from tlcore.activations.values import (
    ActivationRequest,
    ChannelDetail,
    DisplayOptions,
    Filters,
    MapPage,
    MapPair,
)
from tlcore.datasets.geometry import fit
from tlcore.datasets.image_io import content_id, decode_image, read_bytes, read_image
from tlcore.errors import BadImage, TLCoreError
from tlcore.inference.answers import start_worker, to_brief
from tlcore.models import loaded_model
from tlcore.models.build import build_architecture, freeze_base
from tlcore.models.catalog import get_backbone
from tlcore.models.gradcam import Explanation
from tlcore.models.predictions import BriefPrediction, Floats, ModelRef, Prediction
from tlcore.models.summary import ShapePath, Summary, summarize, summary_text
from tlcore.settings import Limits, Settings
from tlcore.storage import FileState, file_state
from tlcore.training.transfer_model import load_model

__all__ = ["start_worker"]  # asked for by this name here as well


def predict(
    image: Path, refs: Sequence[ModelRef], settings: Settings
) -> tuple[Prediction | TLCoreError, ...]:
    """Return each model's prediction for one image file, which is decoded once.

    Where a model cannot be loaded, its error stands in the place of its prediction.

    Raises:
        BadImage: the file cannot be read.
    """
    start = time.perf_counter()
    pixels = _decode(image, file_state(image), settings.limits)
    decoding = time.perf_counter() - start
    predictions: list[Prediction | TLCoreError] = []
    for ref in refs:
        try:
            prediction = load_model(ref, settings).predict(pixels)
            seconds = replace(prediction.seconds, decode=decoding)
            predictions.append(replace(prediction, seconds=seconds))
        except TLCoreError as error:
            predictions.append(error)
    return tuple(predictions)


@lru_cache(maxsize=1)
def _decode(path: Path, state: FileState, limits: Limits) -> Image:
    """Decode an image file, or return the one decoded last: a page has several requests for it."""
    return read_image(path, limits)


def explain(
    image: Path, requests: Sequence[tuple[ModelRef, int, str]], settings: Settings
) -> tuple[Explanation | TLCoreError, ...]:
    """Return the explanation for each request about one image file, which is decoded once.

    A request is a model, the index of a class, and a layer, "" for the last one. Raises as
    ``predict``; other errors stand in the place of the map.
    """
    pixels = _decode(image, file_state(image), settings.limits)
    explanations: list[Explanation | TLCoreError] = []
    for ref, index, layer in requests:
        try:
            explanations.append(load_model(ref, settings).explain(pixels, index, layer))
        except TLCoreError as error:
            explanations.append(error)
    return tuple(explanations)


def predict_batch(
    images: Sequence[Path], refs: Sequence[ModelRef], settings: Settings
) -> list[tuple[BriefPrediction, ...] | str]:
    """Return the short predictions of several models for each image file, or why there is none.

    Ask for a hundred or so at a time: other tasks wait meanwhile.
    """
    models = [load_model(ref, settings) for ref in refs]
    return [
        str(row) if isinstance(row, BadImage) else tuple(map(to_brief, row))
        for row in loaded_model.compute_logits(models, images, settings.limits)
    ]


def compute_shape_path(ref: ModelRef, classes: int, settings: Settings) -> ShapePath:
    """Return the shapes from image to prediction, with a head of so many classes."""
    return loaded_model.compute_shape_path(load_model(ref, settings), classes)


def summarize_model(ref: ModelRef, settings: Settings) -> tuple[Summary, str]:
    """Return a model's layers and parameters, and Keras' own text; a pretrained one is frozen.

    A pretrained one needs no weights for it.
    """
    if ref.run:
        model = load_model(ref, settings).model
    else:
        model = build_architecture(
            get_backbone(ref.backbone), ref.size, top=ref.top, imagenet=not ref.random
        )
        freeze_base(model)
    return summarize(model), summary_text(model)


def list_layers(ref: ModelRef, settings: Settings) -> tuple[LayerInfo, ...]:
    """Return every layer of a model."""
    return layers.list_layers(get_layer_outputs(load_model(ref, settings)).graph)


def draw_layer(
    request: ActivationRequest, layer: str, view: DisplayOptions, settings: Settings
) -> tuple[MapPage, ChannelDetail]:
    """Draw one page of a layer's maps, and the first channel of that page large."""
    maps = compute_maps(request, layer, settings)
    loaded, channels = load_model(request.ref, settings), maps.shape[2]
    page = MapPage(
        layer=layer,
        tiles=render.render_tiles(maps, render.select_channels(maps, view), view),
        channels=channels,
        pages=view.layout.pages(channels),
        page=view.page_number(channels),
        source=loaded.source,
        note=loaded.note,
        kind=layers.layer_kind(get_layer_outputs(loaded).graph.layers[layer]),
    )
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
    shown = render.select_channels(first if left.ref == right.ref else second, view)
    signed = DisplayOptions(view.layout, scale="zero", palette="signed")
    channels = second.shape[2]
    return MapPair(
        layer=layer,
        left=render.render_tiles(first, shown, view, second),
        right=render.render_tiles(second, shown, view, first),
        difference=render.render_tiles(difference, shown, signed),
        largest=float(np.abs(render.extremes(difference)).max()),
        not_finite=float(render.share_not_finite(difference).mean()),
        frozen=left.ref != right.ref and _is_frozen(left.ref, right.ref, layer, settings),
        channels=channels,
        pages=view.layout.pages(channels),
        page=view.page_number(channels),
    )


@lru_cache(maxsize=256)
def _is_frozen(left: ModelRef, right: ModelRef, layer: str, settings: Settings) -> bool:
    graphs = [get_layer_outputs(load_model(ref, settings)).graph for ref in (left, right)]
    return layers.have_same_weights(graphs[0], graphs[1], layer)


def inspect_channel(
    request: ActivationRequest, layer: str, number: int, settings: Settings
) -> ChannelDetail:
    """Return one channel, large, with its histogram and its strongest place."""
    maps, size = compute_maps(request, layer, settings), load_model(request.ref, settings).size
    field = _receptive_fields(request.ref, settings)[layer]
    return channel.inspect_channel(maps, layer, number, field, size)


@lru_cache(maxsize=8)
def _receptive_fields(ref: ModelRef, settings: Settings) -> dict[str, ReceptiveField]:
    return layers.compute_receptive_fields(get_layer_outputs(load_model(ref, settings)).graph)


def measure_layers(request: ActivationRequest, settings: Settings) -> tuple[LayerStatistics, ...]:
    """Return the statistics of every spatial layer."""
    names = load_model(request.ref, settings).spatial_layers
    return tuple(
        layers.measure_layer(each, compute_maps(request, each, settings)) for each in names
    )


def draw_filters(
    ref: ModelRef, layer: str, view: DisplayOptions, output_channel: int, settings: Settings
) -> Filters:
    """Draw the kernels of the convolution at or before a layer."""
    loaded = load_model(ref, settings)
    graph, bgr = get_layer_outputs(loaded).graph, get_backbone(loaded.backbone).mode == "caffe"
    return filters.render_filters_at(graph, layer, view, output_channel, bgr=bgr)


def render_png(
    request: ActivationRequest, layer: str, view: DisplayOptions, settings: Settings
) -> bytes:
    """Return one page as a PNG file."""
    return render.render_page(compute_maps(request, layer, settings), view)


def export_maps(request: ActivationRequest, layer: str, settings: Settings) -> bytes:
    """Return the maps as an NPZ file's bytes, with what they are of.

    ``maps`` is float32 (height, width, channels), ``input`` the uint8 pixels (size, size, 3) that
    the model got, before its preprocessing; layer, backbone, weights, size, fit and image_sha256
    are single values.
    """
    loaded, image = load_model(request.ref, settings), read_image(request.path, settings.limits)
    buffer = io.BytesIO()
    np.savez_compressed(
        buffer,
        maps=compute_maps(request, layer, settings),
        input=fit(image, loaded.size, loaded.fit),
        layer=layer,
        backbone=loaded.backbone,
        weights=request.ref.run or f"{loaded.source} {loaded.note}".strip(),
        size=loaded.size,
        fit=loaded.fit,
        image_sha256=request.sha256,
    )
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

    kept = activation_cache(settings.activation_bytes) if request.sha256 else ActivationCache(0)
    image = (request.ref, request.sha256)
    return to_array(get_layer_outputs(loaded).compute(layer, batch, image, kept))[0]


@cache
def activation_cache(bound: int) -> ActivationCache:
    """Return this process's cache of activations, which holds up to so many bytes."""
    return ActivationCache(bound)
