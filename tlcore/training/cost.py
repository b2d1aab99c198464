"""How much memory a run's process will need at most: counted, not measured.

What this process has used says nothing of another: it may have had other networks in it. Counted
is what is largest: the activations of a pass and of a step, weights and what is remembered of
them. The shares were read off runs of MobileNet, MobileNetV2 and VGG16.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import numpy as np

from tlcore.datasets.dataset import Sample
from tlcore.errors import BadConfig
from tlcore.models.catalog import output_units
from tlcore.settings import Settings
from tlcore.text import file_size
from tlcore.training.augmentation import AHEAD, FORWARD, ImageCopy, decode_batches, hash_samples
from tlcore.training.batches import encode_targets, list_copies, list_layers
from tlcore.training.config import RunConfig, Sizes, check_splits
from tlcore.training.feature_cache import RESIDENT
from tlcore.training.features import FLUSH_BYTES, FeatureSource, select_readable
from tlcore.training.head import Head
from tlcore.training.loop import evaluation_batch_size

BASE = 600 * 2**20  # bytes of a process with TensorFlow and nothing in it
FLOAT = 4  # bytes
PASS = 3  # times the largest activations: what goes in, what comes out, what is worked with
STEP = 2  # times all activations above the cut: themselves and their gradients
NETWORK = 4  # times the weights: as read, as used, as folded, as saved
LEARNED = 10  # times those that learn: gradient, two moments, and thrice that in checkpoints


def memory_of(config: RunConfig, sizes: Sizes, features: int, units: int, stored: int) -> int:
    """Return the bytes that a run will need at most, roughly.

    Args:
        config: its recipe.
        sizes: of its network.
        features: inputs of the head.
        units: outputs of the head.
        stored: bytes of all values it learns from, which are mapped, not read as a whole.
    """
    sides = [features, *config.hidden_units, units]
    head = LEARNED * sum(before * behind for before, behind in pairwise(sides))
    forward = PASS * FORWARD * sizes.largest
    step = looked = 0
    if config.fine_tune_epochs:
        step = STEP * config.batch_size * sizes.top_activations + LEARNED * sizes.top_weights
        looked = PASS * evaluation_batch_size(FLOAT * sizes.cut) * sizes.top_largest
    most = max(FLOAT * forward + AHEAD + FLUSH_BYTES, FLOAT * step, FLOAT * looked)
    return BASE + FLOAT * (NETWORK * sizes.weights + head) + most + min(stored, RESIDENT)


# What a run will cost, before it starts: some images are tried, the rest is counted.


TRIED = 2 * FORWARD  # images
STARTED = 6.0  # s until a process has TensorFlow and the network, and until that is saved


@dataclass(frozen=True)
class Cost:
    """What a run needs."""

    feature_seconds: float  # until all values are in the cache
    epoch_seconds: float  # of the head, beyond these; with free augmentation the network runs
    fine_tune_seconds: (
        float  # of an epoch of the top blocks, its validation included; 0 without them
    )
    missing: int  # images and views that the cache does not have
    disk: int  # bytes that the cache will grow by
    memory: int  # bytes resident at most, roughly
    total_seconds: float  # of the whole run, all its epochs included; less if it ends early
    head_seconds: float = 0.0  # of an epoch of the head, the network's share left out


def estimate_cost(
    config: RunConfig, train: Sequence[Sample], val: Sequence[Sample], settings: Settings
) -> Cost:
    """Try some images and say what the whole run will need.

    Raises:
        BadConfig: it cannot fit into the cache, onto the disk or into memory.
        BadDataset: a part has no images.
        UnknownName: the network has no layer of that name to unfreeze from.
        WeightsMissing: the backbone's weights are not here.
    """
    labels = {sample.label for sample in [*train, *val]}
    check_splits(train, val)
    config = replace(config, batch_size=min(config.batch_size, len(train)))
    supply = FeatureSource(config, len(labels), settings)
    try:
        layers = list_layers(supply)
        sizes = supply.whole.sizes()
        requests = list_copies(config, hash_samples(train), hash_samples(val))
        missing = len(supply.missing(layers, requests))
        a_row = sum(supply.shelf(layer).bytes_of(1) for layer in layers)
        features, count = (
            supply.head_inputs,
            output_units(len(labels), config.classifier_activation),
        )
        disk, stored = missing * a_row, len(requests) * a_row
        memory = memory_of(config, sizes, features, count, stored)
        _refuse(disk, memory, stored, settings)  # before anything is tried that cannot fit
        an_image = 0.0
        if missing or config.on_the_fly_augmentation:
            an_image = _seconds_an_image(supply, layers, requests)
        free = len(train) * an_image if config.on_the_fly_augmentation else 0.0
        head = _head_seconds(config, features, count, len(train), len(val))
        tuned = 0.0
        if config.fine_tune_epochs:
            tuned = free + _tuned_seconds(supply, len(train), len(val), count)
    finally:
        supply.close()
    return Cost(
        feature_seconds=missing * an_image,
        epoch_seconds=free,
        fine_tune_seconds=tuned,
        missing=missing,
        disk=disk,
        memory=memory,
        total_seconds=STARTED
        + missing * an_image
        + config.epochs * (free + head)
        + config.fine_tune_epochs * tuned,
        head_seconds=head,
    )


def _seconds_an_image(
    supply: FeatureSource, layers: Sequence[str], requests: Sequence[ImageCopy]
) -> float:
    """Time the decoding, and the passes behind the first, which pays for the tracing. The sum
    counts: both want all the processors there are."""
    tried = requests[:TRIED]
    began = time.perf_counter()
    with decode_batches(tried, supply.looking, FORWARD) as batches:
        read = [select_readable(batch, lambda *_: None)[1] for batch in batches]
    decoding = (time.perf_counter() - began) / len(tried)
    passes = [pixels for pixels in read if len(pixels)]
    for pixels in passes[:1]:
        supply.whole.forward(pixels, layers)
    began = time.perf_counter()
    for pixels in passes:
        supply.whole.forward(pixels, layers)
    return decoding + (time.perf_counter() - began) / len(tried)


def _head_seconds(config: RunConfig, features: int, units: int, learned: int, judged: int) -> float:
    """Return the seconds of an epoch of the head on values that are there, after two tries."""
    head, size = Head(config, features, units), config.batch_size
    batch = np.zeros((size, features), np.float32)
    targets = encode_targets(np.zeros(size, np.int64), units)
    step = _second(lambda: head.step(batch, targets, None, config.learning_rate))
    look_at = _second(lambda: head.evaluate(batch, targets))
    return (learned * step + judged * look_at) / size


def _tuned_seconds(supply: FeatureSource, learned: int, judged: int, units: int) -> float:
    """Return the seconds of an epoch of the top blocks, after two steps and two looks: the first
    ones pay for the tracing. An image shows one of its views in an epoch. A large batch takes
    about as long an image as one of TRIED."""
    from tlcore.training.fine_tune import TopBlocks

    config = supply.config
    top = TopBlocks(supply.whole.top(), config)
    batch = np.zeros(
        (min(config.batch_size, TRIED), *supply.whole.shape(supply.whole.cut)), np.float32
    )
    targets = encode_targets(np.zeros(len(batch), np.int64), units)
    rate = config.fine_tune_learning_rate
    step = _second(lambda: top.step(batch, targets, None, rate))
    look_at = _second(lambda: top.evaluate(batch, targets))
    return (learned * step + judged * look_at) / len(batch)


def _second(call: Callable[[], object]) -> float:
    call()
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


def _refuse(disk: int, memory: int, needed: int, settings: Settings) -> None:
    if needed > settings.cache_bytes:
        raise BadConfig(
            f"Expected features of at most {file_size(settings.cache_bytes)} "
            f"(TLCORE_CACHE_BYTES). Received {file_size(needed)}. Allow more, or choose "
            "a smaller size, fewer views, another pooling or a later layer."
        )
    settings.home.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(settings.home).free
    if disk > free:
        raise BadConfig(
            f"Expected {file_size(disk)} free on the disk. Received {file_size(free)}. Make room, "
            "or choose a smaller size or fewer views."
        )
    if memory > _memory_free():
        raise BadConfig(
            f"Expected {file_size(memory)} of free memory. Received "
            f"{file_size(_memory_free())}. Choose a smaller size or batch, another "
            "pooling, smaller dense layers or a later layer to unfreeze from."
        )


def _memory_free() -> int:
    """Return the bytes of memory that can be had, or a great number where nobody tells."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return 2**62
    found = (int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable"))
    return next(found, 2**62)
