"""Convert a frozen network for LiteRT and compare it with Keras before it is used.

Only here TensorFlow is needed: ``runtime`` finds, opens and runs what this has put into its place.
"""

from __future__ import annotations

import errno
import logging
import os
import shutil
import sys
import tempfile
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout, suppress
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from tlcore.datasets.decoding import decode_in_order
from tlcore.models.catalog import preprocess
from tlcore.models.predictions import Floats
from tlcore.models.runtime import (
    CONVERSION,
    TEMPLATE,
    TFLITE,
    Conversion,
    Network,
    Runtime,
    checksum,
    discard,
)
from tlcore.settings import Settings
from tlcore.storage import (
    explained_os_errors,
    publish_folder,
    remove_leftovers,
    work_folder,
    write_json,
)
from tlcore.text import shorten

TOLERANCE = 1e-4  # greatest difference from Keras, of the largest value
CHECKED = 8  # images on which both are compared
SLOWEST = 1.0  # of Keras' speed: a network that is no faster is not used
TIMED = 3  # times that both compute one image and CHECKED images
_ROOM = 8 * 2**20  # bytes on the disk, beside twice the weights, with which converting cannot fail
_log = logging.getLogger(__name__)


def convert(network: Network, model: Any, settings: Settings, template: Any = None) -> Conversion:
    """Convert a Keras model and put it into its place, checked.

    Args:
        network: what it is.
        model: with the outputs of the network, in their order.
        settings: where it is put.
        template: a model with a head that is stored beside it.

    Raises:
        StorageError: it cannot be stored.
    """
    with explained_os_errors("The converted network could not be stored"):
        remove_leftovers(settings.networks)
        with work_folder(settings.networks) as folder:
            with _temporary_files(folder):
                conversion = _convert(network, model, folder)
                if template is not None and not conversion.refused:
                    template.save(folder / TEMPLATE)
            if conversion.refused:
                (folder / TFLITE).unlink(missing_ok=True)
            elif template is not None:
                digest = checksum(folder, (folder / TFLITE).read_bytes())
                conversion = replace(conversion, crc32=digest)
            write_json(folder / CONVERSION, asdict(conversion), durable=False)
            _evict(settings, sum(path.stat().st_size for path in folder.iterdir()))
            discard(settings.networks / network.name)  # an earlier result gives way to this one
            publish_folder(folder, settings.networks / network.name)
    _log.warning("%s at %d px is %s", network.backbone, network.size, conversion.description)
    return conversion


@contextmanager
def _temporary_files(folder: Path) -> Iterator[None]:
    """Let libraries put their temporary files where those of a killed process are removed."""
    with TemporaryDirectory(dir=folder) as tempfile.tempdir:
        try:
            yield
        finally:
            tempfile.tempdir = None  # the usual place


def _convert(network: Network, model: Any, folder: Path) -> Conversion:
    import tensorflow as tf

    conversion = Conversion(network, tuple(tuple(each.shape[1:]) for each in model.outputs))
    if tf.config.list_physical_devices("GPU"):
        return replace(conversion, refused="TensorFlow sees a GPU")
    try:
        with redirect_stdout(sys.stderr):
            content = tf.lite.TFLiteConverter.from_keras_model(model).convert()
    except (OSError, MemoryError, tf.errors.OpError):  # the machine's fault, not the network's
        raise
    except Exception as error:  # the converter raises all kinds for an operation it does not know
        if shutil.disk_usage(folder).free < _ROOM + 8 * model.count_params():  # or without a word
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)) from error
        return replace(conversion, refused=f"it does not convert ({shorten(str(error), 200)})")
    (folder / TFLITE).write_bytes(content)
    conversion = replace(conversion, crc32=zlib.crc32(content))
    difference, speed = _compare(model, Runtime(folder, conversion))
    conversion = replace(conversion, difference=difference, speed=speed)
    if not difference <= TOLERANCE:  # also NaN
        return replace(conversion, refused=f"converted, it differs by {difference:.1e}")
    if speed <= SLOWEST:
        return replace(conversion, refused=f"converted, it has {speed:.2f} of its speed here")
    return conversion


def _compare(model: Any, runtime: Runtime) -> tuple[float, float]:
    """Return the greatest difference from Keras, of the largest value, and the ratio of times."""
    import tensorflow as tf

    network = runtime.conversion.network
    inputs = preprocess(_draw_images(network.size), network.backbone)
    forward = tf.function(
        lambda batch: tf.nest.flatten(model(batch, training=False)),
        input_signature=[tf.TensorSpec((None, *inputs.shape[1:]), tf.float32)],
        autograph=False,
    )

    def by_keras(batch: Floats) -> list[Floats]:
        return [each.numpy() for each in forward(batch)]

    def by_litert(batch: Floats) -> list[list[Floats]]:
        compute = partial(runtime.compute, outputs=network.outputs, alone=len(batch) == 1)
        return list(decode_in_order(compute, batch[:, None]))

    expected = by_keras(inputs)
    received = runtime.compute(inputs, network.outputs)
    difference = max(
        float(np.abs(one - other).max() / max(float(np.abs(one).max()), 1e-30))
        for one, other in zip(expected, received, strict=True)
    )
    seconds: list[list[float]] = [[], []]
    for _ in range(TIMED):
        for compute, measured in zip((by_keras, by_litert), seconds, strict=True):
            began = time.perf_counter()
            compute(inputs[:1])
            compute(inputs)
            measured.append(time.perf_counter() - began)
    return difference, min(seconds[0]) / min(seconds[1])


def _draw_images(size: int) -> npt.NDArray[np.uint8]:
    """Return CHECKED images with edges and gradients, uint8 (n, size, size, 3), always the same."""
    coarse = np.random.default_rng(0).integers(0, 256, (CHECKED, 9, 9, 3)).astype(np.uint8)
    shape, bicubic = (size, size), Image.Resampling.BICUBIC
    return np.stack([np.asarray(Image.fromarray(each).resize(shape, bicubic)) for each in coarse])


def _evict(settings: Settings, needed: int) -> None:
    """Delete the networks used longest ago until ``needed`` bytes more are within the limit."""
    used: dict[Path, tuple[float, int]] = {}  # when, s since 1970, and bytes
    for path in settings.networks.glob(f"[!.]*/{CONVERSION}"):
        with suppress(OSError):
            size = sum(file.stat().st_size for file in path.parent.iterdir())
            used[path.parent] = path.stat().st_mtime, size
    total = needed + sum(size for _, size in used.values())
    for folder, (_, size) in sorted(used.items(), key=lambda item: item[1][0]):
        if total > settings.network_bytes:
            discard(folder)
            total -= size
