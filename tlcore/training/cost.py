"""The cost of a run before it starts: time, disk and memory; refusal of what cannot fit.

Time is measured: some images go through the network, two batches through each stage, and the rest
is counted. Memory is counted, because what this process has used so far may be another network's.
The factors were read off runs of MobileNet, MobileNetV2 and VGG16.
"""

from __future__ import annotations

import math
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tlcore.datasets.dataset import Sample
from tlcore.datasets.decoding import THREADS, hash_samples
from tlcore.errors import BadConfig
from tlcore.models.runtime import Runtime
from tlcore.settings import Settings
from tlcore.text import file_size
from tlcore.training import batches
from tlcore.training.augmentation import FORWARD, ImageCopy
from tlcore.training.config import RunConfig, check_splits
from tlcore.training.feature_cache import bytes_of
from tlcore.training.features import FeatureSource, check_cache_size
from tlcore.training.head import Head
from tlcore.training.loop import Learner, limit_blas_threads

if TYPE_CHECKING:
    from tlcore.training.transfer_model import TransferModel

TRIED = 2 * FORWARD  # images
STARTED = 6.0  # s until a process has TensorFlow and the network, and until that is saved,
READY = 1.0  # or without TensorFlow
BASE = 700 * 2**20  # bytes of a process with TensorFlow, and of images and features that wait
LIGHT = 200 * 2**20  # the same without TensorFlow
LITERT = 1 + 2 * THREADS  # times a converted network: its file, and each copy with its activations
PASS = 3  # times the largest activations: input, output, and scratch memory of a pass
STEP = 2  # times all activations above the cut: themselves and their gradients
NETWORK = 4  # times the weights: as read, as used, as converted, as saved
TRAINED = 10  # times the trainable ones: gradient, two moments, and thrice that in checkpoints


@dataclass(frozen=True)
class Cost:
    """What a run needs."""

    image_seconds: float  # of one image through the network; 0 where none has to go through it
    feature_seconds: float  # until all features are in the cache
    head_seconds: float  # of an epoch of the head, with its passes of the network if there are any
    fine_tune_seconds: float  # of an epoch of fine-tuning, validation included; 0 without it
    total_seconds: float  # of the whole run with all epochs; less if it ends early
    missing: int  # images and augmented copies whose features are not in the cache
    disk: int  # bytes by which the cache will grow
    memory: int  # bytes resident at most, roughly


def estimate_cost(
    config: RunConfig, train: Sequence[Sample], val: Sequence[Sample], settings: Settings
) -> Cost:
    """Try some images and estimate what the whole run will need.

    Raises:
        BadConfig: it does not fit into the cache, onto the disk or into memory.
        BadDataset: a split has no images.
        UnknownName: the network has no layer of that name to unfreeze from.
        WeightsMissing: the backbone's weights are not on this machine.
    """
    check_splits(train, val)
    config = replace(config, batch_size=min(config.batch_size, len(train)))
    source = FeatureSource(config, len({sample.label for sample in [*train, *val]}), settings)
    layers = batches.list_layers(source)
    copies = batches.list_copies(config, tuple(hash_samples(train)), tuple(hash_samples(val)))
    missing = len(source.missing(layers, copies))
    row_bytes = sum(bytes_of(source.shape(layer), 1) for layer in layers)
    stored = len(copies) * row_bytes
    frozen = None if config.fine_tune_epochs else source.runtime
    sizes = [source.head_inputs, *config.hidden_units, source.units]
    memory = estimate_memory(config, frozen or source.transfer_model, sizes, stored)
    # Before anything is tried that cannot fit.
    check_cache_size(len(copies), stored, settings)
    _check_room(missing * row_bytes, memory, settings)

    image = 0.0
    if missing or config.on_the_fly_augmentation:
        image = _time_image(source, layers, copies)
    fresh = len(train) * image if config.on_the_fly_augmentation else 0.0

    def time_epoch(learner: Learner, shape: tuple[int, ...]) -> float:
        """An image of a large batch takes about as long as one of TRIED."""
        inputs = np.zeros((min(config.batch_size, TRIED), *shape), np.float32)
        targets = batches.encode_targets(np.zeros(len(inputs), np.int64), source.units)
        step = _time_second(lambda: learner.step(inputs, targets, None, 1e-6))
        evaluation = _time_second(lambda: learner.evaluate(inputs, targets))
        return fresh + (len(train) * step + len(val) * evaluation) / len(inputs)

    with limit_blas_threads():
        head = Head(config, source.head_inputs, source.units)
        head_seconds = time_epoch(head, (source.head_inputs,))
    fine_tune = 0.0
    if config.fine_tune_epochs:
        from tlcore.training.fine_tune import TopBlocks

        network = source.transfer_model
        fine_tune = time_epoch(TopBlocks(network.top(), config), network.shape(network.cut))
    started = READY if frozen else STARTED
    epochs = config.epochs * head_seconds + config.fine_tune_epochs * fine_tune
    return Cost(
        image_seconds=image,
        feature_seconds=missing * image,
        head_seconds=head_seconds,
        fine_tune_seconds=fine_tune,
        total_seconds=started + missing * image + epochs,
        missing=missing,
        disk=missing * row_bytes,
        memory=memory,
    )


def estimate_memory(
    config: RunConfig, network: TransferModel | Runtime, sizes: Sequence[int], stored: int
) -> int:
    """Return the bytes that a run will need at most, roughly.

    The head's layers have so many inputs, the last one so many outputs (``sizes``); ``stored`` are
    the bytes of all features that the run reads, mapped only where they are too large for memory.
    """
    trained = sum(before * after for before, after in pairwise(sizes))
    stored = min(stored, batches.RESIDENT)
    if isinstance(network, Runtime):
        return LIGHT + LITERT * network.bytes + 4 * TRAINED * trained + stored
    layers = network.model.layers
    activations = [math.prod(side or 1 for side in layer.output.shape[1:]) for layer in layers]
    step = 0
    if config.fine_tune_epochs:
        top = 1 + [layer.name for layer in layers].index(network.cut)
        step = STEP * config.batch_size * sum(activations[top:])
        trained += sum(layer.count_params() for layer in layers[top:])
    floats = NETWORK * network.model.count_params() + TRAINED * trained
    floats += max(PASS * FORWARD * max(activations), step)
    return BASE + 4 * floats + stored


def _time_image(source: FeatureSource, layers: Sequence[str], copies: Sequence[ImageCopy]) -> float:
    """Return the seconds of one image, from its file to its features."""
    tried = copies[:TRIED]
    for some in (tried[:FORWARD], tried):  # the first pass pays for the tracing
        began = time.perf_counter()
        list(source.outputs(layers, some))
    return (time.perf_counter() - began) / len(tried)


def _time_second(call: Callable[[], object]) -> float:
    """Return the seconds of the second call: the first one pays for the tracing."""
    call()
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


def _check_room(disk: int, memory: int, settings: Settings) -> None:
    settings.home.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(settings.home).free
    if disk > free:
        raise BadConfig(
            f"Expected {file_size(disk)} free on the disk. Received {file_size(free)}. Make room, "
            "or choose a smaller size or fewer augmented copies."
        )
    available = _available_memory()
    if memory > available:
        raise BadConfig(
            f"Expected {file_size(memory)} of free memory. Received {file_size(available)}. Choose "
            "a smaller size or batch, another pooling, fewer hidden units or a later layer to "
            "unfreeze from."
        )


def _available_memory() -> int:
    """Return the bytes of memory that are available, a great number where that is not known."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return 2**62
    available = [line.split()[1] for line in lines if line.startswith("MemAvailable")]
    return int(available[0]) * 1024 if available else 2**62
