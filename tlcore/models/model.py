"""A model ready to predict: images in, predictions, activations and explanations out."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf
from PIL import ImageOps
from PIL.Image import Image, fromarray

from tlcore.datasets.colour import to_rgb
from tlcore.datasets.geometry import fit
from tlcore.datasets.image_io import read
from tlcore.errors import BadImage
from tlcore.models.build import build, preprocessing
from tlcore.models.catalog import backbone
from tlcore.models.gradcam import compute_cam
from tlcore.models.imagenet import imagenet_classes
from tlcore.models.layers import Graph, bottleneck_layer, graph, summarize
from tlcore.models.predictions import (
    Explanation,
    FeatureMaps,
    Floats,
    ModelRef,
    Prediction,
    Seconds,
    Summary,
    expand_sigmoid,
    find_class,
    softmax,
)
from tlcore.settings import Limits, Settings

ImageSource = str | Path | Image | npt.NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class LoadedModel:
    """A loaded network with everything it needs to know to answer. Read-only."""

    model: keras.Model  # float32 (n, size, size, 3) → logits, or bottleneck features
    backbone: str
    size: int  # side of the input, pixels
    fit: str  # a key of tlcore.datasets.geometry.FITS
    labels: tuple[str, ...]  # (classes,)
    wnids: tuple[str, ...]  # (classes,) or empty
    source: str  # "imagenet", "random" or "run"
    note: str

    @cached_property
    def forward(self) -> Callable[[tf.Tensor], tf.Tensor]:
        """The compiled model; one trace serves every batch size.

        It has run once when it is handed out, so that the time of a first answer is the network's
        and not the compiler's.
        """
        signature = tf.TensorSpec((None, self.size, self.size, 3), tf.float32)
        compiled = tf.function(
            lambda batch: self.model(batch, training=False), input_signature=[signature]
        )
        compiled(tf.zeros((1, self.size, self.size, 3)))
        return compiled

    @cached_property
    def graph(self) -> Graph:
        return graph(self.model)

    def prepare(self, images: Sequence[Image]) -> Floats:
        """Return the model's input, float32 (n, size, size, 3), in its own range."""
        pixels = np.stack([fit(image, self.size, self.fit) for image in images])
        return preprocess(pixels, self.backbone)

    def predict(self, image: ImageSource) -> Prediction:
        """Predict one image: a file's path, a PIL image or uint8 pixels (height, width, 3), RGB.

        For many files and several models at once see ``compute_logits``.

        Raises:
            BadImage: it cannot be read.
        """
        start = time.perf_counter()
        opened = open_image(image)
        decoded = time.perf_counter()
        forward = self.forward
        compiled = time.perf_counter()
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
            seconds=Seconds(
                decode=decoded - start, prepare=prepared - compiled, network=done - prepared
            ),
        )

    def activations(self, image: ImageSource, layer: str) -> FeatureMaps:
        """Return what a layer with a spatial output computes for one image.

        These are plain Keras' own values, to the bit. ``activations.extract`` is faster: there
        TensorFlow fuses convolution and normalisation, equal to about one part in a million.

        Raises:
            UnknownName: no such layer, or its output is not (height, width, channels).
            BadImage: the image cannot be read.
        """
        model = self.graph.to_spatial(layer)
        maps = model(self.prepare([open_image(image)]), training=False)
        return FeatureMaps(layer, np.asarray(maps[0]), self.source, self.note)

    def explain(
        self, image: ImageSource, target: int | str | None = None, layer: str = ""
    ) -> Explanation:
        """Return a Grad-CAM map: the places of an image that speak for a class.

        Args:
            image: as for ``predict``.
            target: index or name of the class; the most probable one by default.
            layer: any with a spatial output; the last one by default.

        Raises:
            UnknownName: no such class, or no such layer with a spatial output.
            BadImage: the image cannot be read.
        """
        start = time.perf_counter()
        batch = self.prepare([open_image(image)])
        if target is None:
            index = int(expand_sigmoid(self.forward(batch).numpy())[0].argmax())
        else:
            index = find_class(self.labels, target)
        name = layer or bottleneck_layer(self.graph)
        cam, logits = compute_cam(self.graph.to_ends(name), batch, index)
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
        )

    def summary(self) -> Summary:
        """Return the model's layers and parameters, as ``model.summary()`` of Keras has them."""
        return summarize(self.model)


def load_pretrained(ref: ModelRef, settings: Settings) -> LoadedModel:
    """Build a network of the catalogue, ready to answer. Raises as ``build`` does."""
    model, note = build(ref, settings)
    wnids, labels = imagenet_classes() if ref.top else ((), ())
    return LoadedModel(
        model=model,
        backbone=ref.backbone,
        size=ref.size,
        fit=ref.fit,
        labels=labels,
        wnids=wnids,
        source="random" if ref.random else "imagenet",
        note=note,
    )


def open_image(image: ImageSource) -> Image:
    """Return an upright RGB image of any size; a PIL image of mode RGB as it is.

    Raises:
        BadImage: the file cannot be read, or pixels are not uint8 (height, width, 3).
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
    return read(Path(image), Limits())


def preprocess(pixels: np.ndarray, name: str) -> Floats:
    """Apply a backbone's own preprocessing to uint8 (n, height, width, 3) RGB pixels.

    Keras' function changes a float array in place; it gets a fresh one here.
    """
    return preprocessing(backbone(name))(pixels.astype(np.float32))


# Many images through networks: decoded in threads, answered in batches of few fixed sizes.
#
# One trace serves them all, and at most three batches of pixels are held at a time, so memory
# does not grow with the number of images.


BATCH = 32  # images a forward pass …
STEP = 8  # … the last one is filled up to a multiple of this: four shapes in all
DECODERS = 2  # threads; Pillow lets go of Python's lock while it decodes and resizes

Inputs = tuple[Floats, ...]  # one for each network, (size, size, 3) in its own range
Answers = tuple[Floats, ...]  # one for each network, logits float32 (classes,)


def compute_logits(
    networks: Sequence[LoadedModel], paths: Sequence[Path], limits: Limits
) -> Iterator[Answers | BadImage]:
    """Yield each image's logits by every network, or why it cannot be read, in order.

    A sigmoid unit z comes as (0, z), the softmax of which is the same. Each file is decoded once,
    however many networks look at it.
    """
    starts = range(0, len(paths), BATCH)
    with ThreadPoolExecutor(DECODERS) as pool:

        def submit(start: int) -> list[Future[Inputs | BadImage]]:
            part = paths[start : start + BATCH]
            return [pool.submit(_inputs, path, networks, limits) for path in part]

        following = submit(0)
        for start in starts:
            current, following = following, submit(start + BATCH)
            yield from _answers(networks, [future.result() for future in current])


def _inputs(path: Path, networks: Sequence[LoadedModel], limits: Limits) -> Inputs | BadImage:
    try:
        image = read(path, limits)
    except BadImage as fault:
        return fault
    return tuple(
        preprocess(fit(image, network.size, network.fit), network.backbone) for network in networks
    )


def _answers(
    networks: Sequence[LoadedModel], decoded: Sequence[Inputs | BadImage]
) -> Iterator[Answers | BadImage]:
    good = [inputs for inputs in decoded if not isinstance(inputs, BadImage)]
    by_network = [
        _logits(network, [inputs[place] for inputs in good])
        for place, network in enumerate(networks)
    ]
    rows = zip(*by_network, strict=True)
    for inputs in decoded:
        yield inputs if isinstance(inputs, BadImage) else next(rows)


def _logits(network: LoadedModel, inputs: Sequence[Floats]) -> Floats:
    """Return (n, classes) for n at most BATCH inputs."""
    rows = max(1, -(-len(inputs) // STEP)) * STEP  # never none: oneDNN fails on an empty batch
    batch = np.zeros((rows, network.size, network.size, 3), np.float32)
    for place, pixels in enumerate(inputs):
        batch[place] = pixels
    return expand_sigmoid(network.forward(batch).numpy()[: len(inputs)])
