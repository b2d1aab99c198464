"""A model ready to predict: images in, predictions, activations and explanations out."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from math import prod
from pathlib import Path
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf
from PIL import ImageOps
from PIL.Image import Image, fromarray

from tlcore.datasets.colour import to_rgb
from tlcore.datasets.decoding import decode_in_order
from tlcore.datasets.geometry import fit
from tlcore.datasets.image_io import read_image
from tlcore.errors import BadImage, UnknownName
from tlcore.models.build import (
    POOLINGS,
    build_architecture,
    build_backbone,
)
from tlcore.models.catalog import get_backbone, output_units, preprocess
from tlcore.models.gradcam import Explanation, compute_cam, compute_contributions
from tlcore.models.imagenet import CLASSES, imagenet_classes
from tlcore.models.predictions import (
    FeatureMaps,
    Floats,
    ModelRef,
    Prediction,
    PredictionTime,
    expand_sigmoid,
    find_class,
    softmax,
)
from tlcore.models.summary import (
    Head,
    ShapePath,
    Summary,
    count_parameters,
    describe_layer,
    find_bottleneck_layer,
    is_spatial,
    summarize,
)
from tlcore.settings import Limits, Settings

BATCH = 8  # images a forward pass where there are many: one shape, one trace
ImageSource = str | Path | Image | npt.NDArray[np.uint8]
Logits = tuple[Floats, ...]  # one for each model, float32 (classes,)


@dataclass(frozen=True, eq=False)
class LoadedModel:
    """A Keras model with everything that is needed to predict. Read-only.

    An image is a file's path, a PIL image or uint8 pixels (height, width, 3), RGB, of any size.
    """

    model: keras.Model  # flat, float32 (n, size, size, 3) → logits, or bottleneck features
    backbone: str
    size: int  # side of the input, pixels
    fit: str  # a key of tlcore.datasets.geometry.FITS
    labels: tuple[str, ...]  # (classes,); empty where the model ends in features
    wnids: tuple[str, ...]  # (classes,) or empty
    source: str  # "imagenet", "random" or "run"
    note: str

    @cached_property
    def forward(self) -> Callable[[Any], Any]:
        """The compiled model; one trace serves every batch size.

        It has run once when it is returned, so that the time of a first prediction is the model's
        and not the compiler's.
        """
        signature = tf.TensorSpec((None, self.size, self.size, 3), tf.float32)
        compiled: Callable[[Any], Any] = tf.function(
            lambda batch: self.model(batch, training=False), [signature], autograph=False
        )
        compiled(tf.zeros((1, self.size, self.size, 3)))
        return compiled

    @cached_property
    def spatial_layers(self) -> tuple[str, ...]:
        """The layers whose output is (height, width, channels), first to last."""
        return tuple(each.name for each in self.model.operations if is_spatial(each))

    def output(self, layer: str) -> Any:
        """Return the symbolic output of a layer, (n, height, width, channels).

        Raises:
            UnknownName: no such layer, or its output is no stack of maps.
        """
        if layer not in self.spatial_layers:
            raise UnknownName.of("layer with a spatial output", layer, self.spatial_layers)
        return next(each.output for each in self.model.operations if each.name == layer)

    def prepare(self, images: Sequence[Image]) -> Floats:
        """Return the model's input for RGB images, float32 (n, size, size, 3), in its own range."""
        pixels = np.stack([fit(image, self.size, self.fit) for image in images])
        return preprocess(pixels, self.backbone)

    def predict(self, image: ImageSource) -> Prediction:
        """Predict one image; for many files and several models at once see ``compute_logits``.

        Raises:
            BadImage: it cannot be read.
        """
        forward = self.forward
        start = time.perf_counter()
        opened = open_image(image)
        decoded = time.perf_counter()
        batch = self.prepare([opened])
        prepared = time.perf_counter()
        logits = expand_sigmoid(forward(batch).numpy())[0]
        done = time.perf_counter()
        return Prediction(
            probabilities=softmax(logits),
            logits=logits,
            labels=self.labels,
            wnids=self.wnids,
            source=self.source,
            note=self.note,
            size=self.size,
            fit=self.fit,
            seconds=PredictionTime(decoded - start, prepared - decoded, done - prepared),
        )

    def activations(self, image: ImageSource, layer: str) -> FeatureMaps:
        """Return the output of a layer for one image.

        These are plain Keras' own values, to the bit. ``activations.extract`` is faster: there
        TensorFlow fuses convolution and normalisation, equal to about one part in a million.

        Raises:
            UnknownName: no such layer, or its output is not (height, width, channels).
            BadImage: the image cannot be read.
        """
        model = keras.Model(self.model.input, self.output(layer))
        maps = model(self.prepare([open_image(image)]), training=False)
        return FeatureMaps(layer, np.asarray(maps[0]), self.source, self.note)

    def explain(
        self, image: ImageSource, target: int | str | None = None, layer: str = ""
    ) -> Explanation:
        """Return the places of an image that support a class: Grad-CAM, exactly where it can be.

        Args:
            image: as for ``predict``.
            target: index or name of the class; the most probable one by default.
            layer: any with a spatial output; the last one before pooling by default.

        Raises:
            UnknownName: no such class, or no such layer with a spatial output.
            BadImage: the image cannot be read.
        """
        opened = open_image(image)
        start = time.perf_counter()
        batch = self.prepare([opened])
        if target is None:
            target = int(expand_sigmoid(self.forward(batch).numpy())[0].argmax())
        index = find_class(self.labels, target)
        name = layer or find_bottleneck_layer(self.model)
        two_outputs = keras.Model(self.model.input, [self.output(name), self.model.output])
        cam, logits, maps = compute_cam(two_outputs, batch, index)
        exact = None
        if name == find_bottleneck_layer(self.model):
            exact = compute_contributions(self.model, maps, index)
        units = logits if logits.shape[1] > 1 else np.concatenate([-logits, logits], axis=1)
        return Explanation(
            cam=cam,
            index=index,
            label=self.labels[index],
            wnid=self.wnids[index] if self.wnids else "",
            probability=float(softmax(expand_sigmoid(logits))[0, index]),
            layer=name,
            source=self.source,
            note=self.note,
            size=self.size,
            fit=self.fit,
            seconds=time.perf_counter() - start,
            logit=float(units[0, index]),
            contributions=exact[0] if exact else None,
            bias=exact[1] if exact else 0.0,
        )

    def summary(self) -> Summary:
        """Return the model's layers and parameters, as ``summary()`` of Keras has them."""
        return summarize(self.model)


def load_pretrained(ref: ModelRef, settings: Settings) -> LoadedModel:
    """Build a backbone of the catalog, ready to predict. Raises as ``build_backbone`` does."""
    model, note = build_backbone(ref, settings)
    wnids, labels = imagenet_classes() if ref.top else ((), ())
    source = "random" if ref.random else "imagenet"
    return LoadedModel(model, ref.backbone, ref.size, ref.fit, labels, wnids, source, note)


def open_image(image: ImageSource) -> Image:
    """Return an upright RGB image of any size.

    Raises:
        BadImage: the file cannot be read, or the pixels are not uint8 (height, width, 3).
    """
    if isinstance(image, Image):
        return to_rgb(ImageOps.exif_transpose(image))
    if isinstance(image, np.ndarray):
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
            raise BadImage(
                "Expected pixels uint8 (height, width, 3), RGB. Received "
                f"{image.dtype} {image.shape}."
            )
        return fromarray(image)
    return read_image(Path(image), Limits())


def compute_logits(
    models: Sequence[LoadedModel], paths: Sequence[Path], limits: Limits
) -> Iterator[Logits | BadImage]:
    """Yield each file's logits by every model, or why it cannot be read, in order.

    A sigmoid unit z comes as (0, z), the softmax of which is the same. Each file is decoded once,
    however many models get it, in threads while the models work on the files before it; memory
    does not grow with the number of files.
    """

    def prepare(path: Path) -> Logits | BadImage:
        try:
            image = read_image(path, limits)
        except BadImage as error:
            return error
        return tuple(preprocess(fit(image, each.size, each.fit), each.backbone) for each in models)

    with closing(decode_in_order(prepare, paths)) as inputs:
        while batch := list(islice(inputs, BATCH)):
            good = [each for each in batch if not isinstance(each, BadImage)]
            by_model = [
                _predict_inputs(model, [each[number] for each in good])
                for number, model in enumerate(models)
            ]
            rows = zip(*by_model, strict=True)
            yield from (each if isinstance(each, BadImage) else next(rows) for each in batch)


def _predict_inputs(model: LoadedModel, inputs: Sequence[Floats]) -> Floats:
    """Return (n, classes) for n at most BATCH inputs; the batch is filled up with zeros."""
    batch = np.zeros((BATCH, model.size, model.size, 3), np.float32)
    for number, pixels in enumerate(inputs):
        batch[number] = pixels
    return expand_sigmoid(model.forward(batch).numpy()[: len(inputs)])


def compute_shape_path(loaded: LoadedModel, classes: int) -> ShapePath:
    """Return the shapes of a model, pretrained (with or without top) or a run's.

    Args:
        loaded: any model.
        classes: of a head on its bottleneck features, at least 2.
    """
    row, is_run = get_backbone(loaded.backbone), loaded.source == "run"
    body, top = _split(loaded.model)
    kinds = {kind: name for name, kind in POOLINGS.items()}
    poolings = [kinds[type(layer)] for layer in top if is_run and type(layer) in kinds]
    learned = [layer for layer in body if is_run and bool(getattr(layer, "trainable_weights", ()))]
    if len(loaded.labels) != CLASSES:  # what include_top=True would add, built to be counted
        fits = row.any_size_with_top or loaded.size == row.size
        top = _split(build_architecture(row, loaded.size, top=True))[1] if fits else []
    shape = tuple(body[-1].output.shape[1:])
    units = output_units(classes)
    pooled = {name: (prod(shape),) if name == "flatten" else shape[2:] for name in POOLINGS}
    return ShapePath(
        backbone=loaded.backbone,
        input=(loaded.size, loaded.size, 3),
        mode=row.mode,
        body_layers=len(body),
        body_parameters=count_parameters(body),
        learned_parameters=count_parameters(learned),
        learned_from=learned[0].name if learned else "",
        bottleneck=shape,
        bottleneck_layer=body[-1].name,
        heads=tuple(
            Head(name, each, units, (each[0] + 1) * units) for name, each in pooled.items()
        ),
        pooling=(*poolings, "")[0],
        top=tuple(map(describe_layer, top)),
        top_parameters=count_parameters(top),
    )


def _split(model: keras.Model) -> tuple[list[Any], list[Any]]:
    """Return the layers up to the bottleneck, and those behind it."""
    names = [operation.name for operation in model.operations]
    end = names.index(find_bottleneck_layer(model)) + 1
    return model.operations[:end], model.operations[end:]
