"""What our own code adds to the network's time. By hand, on a quiet machine:

    python -m tests.benchmarks.speed FOLDER [--images 1000] [--backbone MobileNetV2]

Each pair is measured in turns within one run, so that a busy machine slows both; only the ratios
mean something. The references are written with TensorFlow and Pillow alone.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from itertools import cycle, islice
from pathlib import Path
from statistics import median
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import tensorflow as tf
from PIL import Image

from tlcore.datasets.image_io import read_image
from tlcore.inference.client import Inference
from tlcore.models.loaded_model import BATCH, LoadedModel, compute_logits, load_pretrained
from tlcore.models.predictions import ModelRef
from tlcore.settings import Settings

WARM = 10


def main() -> None:
    """Print one JSON object of milliseconds and ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--images", type=int, default=1000)
    parser.add_argument("--singles", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--backbone", default="MobileNetV2")
    args = parser.parse_args()
    settings = Settings.from_environment()
    found = sorted(path for path in args.folder.rglob("*") if path.suffix.lower() in ENDINGS)
    ref = ModelRef(args.backbone, 224)
    network = load_pretrained(ref, settings)
    told = {"single": singles(network, ref, list(islice(cycle(found), args.singles)), settings)}
    files = list(islice(cycle(found), args.images))
    told["batch"] = batches(network, files, args.rounds, settings)
    json.dump(told, sys.stdout, indent=1)
    sys.stdout.write("\n")


ENDINGS = {".jpg", ".jpeg"}


def singles(
    network: LoadedModel, ref: ModelRef, files: Sequence[Path], settings: Settings
) -> dict[str, float]:
    """One image after the other, warm: bare, the core, the worker process."""
    inference = Inference(settings)
    tensors = {
        path: tf.constant(network.prepare([read_image(path, settings.limits)])) for path in files
    }

    def bare(path: Path) -> Any:
        with Image.open(path) as image:
            image.convert("RGB").load()
        return network.forward(tensors[path]).numpy()

    ways: dict[str, Callable[[Path], Any]] = {
        "bare": bare,
        "core": lambda path: network.predict(read_image(path, settings.limits)),
        "worker": lambda path: inference.ask("predict", path, [ref])[0],
    }
    for call in ways.values():
        for path in files[:WARM]:
            call(path)
    spent: dict[str, list[float]] = {name: [] for name in ways}
    for path in files:
        for name, call in ways.items():
            spent[name].append(_seconds(lambda call=call, path=path: call(path)))
    inference.close()
    told = {f"{name} ms": 1000 * median(times) for name, times in spent.items()}
    for name in ("core", "worker"):
        pairs = zip(spent[name], spent["bare"], strict=True)
        told[f"{name} / bare, medians"] = median(spent[name]) / median(spent["bare"])
        told[f"{name} / bare, median of pairs"] = median(ours / bare for ours, bare in pairs)
    return told


def batches(
    network: LoadedModel, files: Sequence[Path], rounds: int, settings: Settings
) -> dict[str, Any]:
    """A thousand images: ours beside tf.data with TensorFlow's own decoder, and with Pillow."""
    ways: dict[str, Callable[[], int]] = {
        "ours": lambda: sum(1 for _ in compute_logits([network], files, settings.limits)),
        "tf.data": lambda: _run(network, _tensorflow_decoder(network, files)),
        "tf.data with Pillow": lambda: _run(network, _pillow_decoder(network, files)),
    }
    spent: dict[str, list[float]] = {name: [] for name in ways}
    memory = []
    for number in range(rounds + 1):  # the first is for warming up
        for name, call in ways.items():
            seconds = _seconds(call)
            if number:
                spent[name].append(seconds)
            if name == "ours":
                memory.append(resident())
    told: dict[str, Any] = {
        f"{name} ms an image": 1000 * median(times) / len(files) for name, times in spent.items()
    }
    for name in ("tf.data", "tf.data with Pillow"):
        told[f"ours / {name}"] = median(spent["ours"]) / median(spent[name])
    told["resident MB after each round of ours"] = memory
    return told


def _tensorflow_decoder(network: LoadedModel, files: Sequence[Path]) -> tf.data.Dataset:
    """The crop as TensorFlow does it: decode, cut, resize with antialiasing, scale."""

    def load(path: Any) -> Any:
        image = tf.io.decode_jpeg(tf.io.read_file(path), channels=3)
        shape = tf.shape(image)
        side = tf.cast(0.875 * tf.cast(tf.minimum(shape[0], shape[1]), tf.float32), tf.int32)
        top, left = (shape[0] - side) // 2, (shape[1] - side) // 2
        cut = tf.image.crop_to_bounding_box(image, top, left, side, side)
        size = (network.size, network.size)
        return tf.image.resize(cut, size, method="bilinear", antialias=True) / 127.5 - 1.0

    names = tf.data.Dataset.from_tensor_slices([str(path) for path in files])
    return names.map(load, num_parallel_calls=tf.data.AUTOTUNE)


def _pillow_decoder(network: LoadedModel, files: Sequence[Path]) -> tf.data.Dataset:
    """The same with Pillow, whose pixels are the ones that the page shows."""
    size = network.size

    def load(path: bytes) -> Any:
        with Image.open(path.decode()) as image:
            rgb = image.convert("RGB")
        side = 0.875 * min(rgb.size)
        left, top = (rgb.width - side) / 2, (rgb.height - side) / 2
        box = (left, top, left + side, top + side)
        small = rgb.resize((size, size), Image.Resampling.HAMMING, box=box)
        return np.asarray(small, np.float32) / 127.5 - 1.0

    def shaped(path: Any) -> Any:
        return tf.ensure_shape(tf.numpy_function(load, [path], tf.float32), (size, size, 3))

    names = tf.data.Dataset.from_tensor_slices([str(path) for path in files])
    return names.map(shaped, num_parallel_calls=tf.data.AUTOTUNE)


def _run(network: LoadedModel, images: tf.data.Dataset) -> int:
    count = 0
    for batch in images.batch(BATCH).prefetch(tf.data.AUTOTUNE):
        count += len(tf.nn.softmax(network.forward(batch)).numpy())
    return count


def resident() -> float:
    """Resident memory of this process, MB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return round(pages * os.sysconf("SC_PAGE_SIZE") / 2**20, 1)


def _seconds(call: Callable[[], Any]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
