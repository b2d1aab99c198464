"""Pictures through the frozen part of a network, once: its answers are the same in every epoch."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from tlcore.errors import BadImage
from tlcore.images.dataset import Sample
from tlcore.images.decode import read
from tlcore.images.geometry import fit
from tlcore.networks.answers import Floats
from tlcore.networks.network import preprocess
from tlcore.settings import Limits

BATCH = 32  # pictures a forward pass
DECODERS = 2  # threads; Pillow lets go of Python's lock while it decodes


@dataclass(frozen=True)
class Geometry:
    """How a file becomes a network's input."""

    backbone: str
    size: int
    fit: str
    limits: Limits


@dataclass(frozen=True, eq=False)
class Features:
    """What a frozen network makes of pictures, in their order, unreadable ones left out."""

    values: Floats  # (n, …), the network's output for each picture
    samples: tuple[Sample, ...]  # (n,)


def compute_features(
    model: keras.Model,
    samples: Sequence[Sample],
    geometry: Geometry,
    *,
    done: Callable[[int], None],
    skipped: Callable[[str, str], None],
) -> Features:
    """Run every picture through ``model`` once, in inference mode.

    Args:
        model: float32 (n, size, size, 3), preprocessed → float32 (n, …).
        samples: in the order wanted.
        geometry: how their files become the model's input.
        done: told the number of pictures behind, after each batch; may raise to end it.
        skipped: told the name and reason of a file that cannot be read.
    """
    forward = tf.function(
        lambda batch: model(batch, training=False),
        input_signature=[tf.TensorSpec((None, geometry.size, geometry.size, 3), tf.float32)],
    )
    values: list[Floats] = []
    kept: list[Sample] = []
    behind = 0
    for batch in _batches(samples, geometry):
        good = [(sample, pixels) for sample, pixels in batch if not isinstance(pixels, BadImage)]
        for sample, fault in batch:
            if isinstance(fault, BadImage):
                skipped(sample.file, str(fault))
        if good:
            pixels = np.stack([pixels for _, pixels in good])
            values.append(forward(preprocess(pixels, geometry.backbone)).numpy())
            kept += [sample for sample, _ in good]
        behind += len(batch)
        done(behind)
    shape = (0, *model.output_shape[1:])
    return Features(np.concatenate(values) if values else np.zeros(shape, "f4"), tuple(kept))


Decoded = npt.NDArray[np.uint8] | BadImage


def _batches(
    samples: Sequence[Sample], geometry: Geometry
) -> Iterator[list[tuple[Sample, Decoded]]]:
    """Decode batch by batch, the next one while the caller works on this one."""
    starts = range(0, len(samples), BATCH)
    with ThreadPoolExecutor(DECODERS) as pool:

        def submit(start: int) -> list[tuple[Sample, Future[Decoded]]]:
            part = samples[start : start + BATCH]
            return [(sample, pool.submit(_decode, sample, geometry)) for sample in part]

        following = submit(0) if samples else []
        for start in starts:
            current, following = following, submit(start + BATCH)
            yield [(sample, future.result()) for sample, future in current]


def _decode(sample: Sample, geometry: Geometry) -> Decoded:
    try:
        return fit(read(sample.path, geometry.limits), geometry.size, geometry.fit)
    except BadImage as fault:
        return fault
