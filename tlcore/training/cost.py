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
from tlcore.datasets.decoding import hash_samples
from tlcore.errors import BadConfig
from tlcore.models.catalog import output_units
from tlcore.settings import Settings
from tlcore.text import file_size
from tlcore.training.augmentation import AHEAD, FORWARD, ImageCopy, decode_batches
from tlcore.training.batches import encode_targets, list_copies, list_layers
from tlcore.training.config import RunConfig, check_splits
from tlcore.training.feature_cache import RESIDENT, bytes_of
from tlcore.training.features import FLUSH_BYTES, FeatureSource, check_cache_size, select_readable
from tlcore.training.head import Head
from tlcore.training.loop import Learner, evaluation_batch_size, limit_blas_threads

if TYPE_CHECKING:
    from tlcore.training.transfer_model import TransferModel

TRIED = 2 * FORWARD  # images
STARTED = 6.0  # s until a process has TensorFlow and the network, and until that is saved
BASE = 600 * 2**20  # bytes of a process with TensorFlow and nothing in it
FLOAT = 4  # bytes
PASS = 3  # times the largest activations: input, output, and scratch memory of a pass
STEP = 2  # times all activations above the cut: themselves and their gradients
NETWORK = 4  # times the weights: as read, as used, as folded, as saved
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


@dataclass(frozen=True)
class NetworkSize:
    """Numbers of floats of a network; activations are those of one image."""

    weights: int  # of all layers
    largest: int  # activations of its largest layer
    top_weights: int = 0  # above the cut
    top_largest: int = 0
    top_activations: int = 0  # of all layers above the cut
    cut: int = 0  # of the layer at the cut itself


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
    classes = len({sample.label for sample in [*train, *val]})
    source = FeatureSource(config, classes, settings)
    layers, outputs = list_layers(source), output_units(classes, config.classifier_activation)
    copies = list_copies(config, tuple(hash_samples(train)), tuple(hash_samples(val)))
    missing = len(source.missing(layers, copies))
    disk, stored = (
        sum(bytes_of(source.shape(layer), count) for layer in layers)
        for count in (missing, len(copies))
    )
    size = measure_network(source.transfer_model)
    memory = estimate_memory(config, size, source.head_inputs, outputs, stored)
    check_cache_size(len(copies), stored, settings)  # before anything is tried that cannot fit
    _check_room(disk, memory, settings)

    image = 0.0
    if missing or config.on_the_fly_augmentation:
        image = _time_image(source, layers, copies)
    fresh = len(train) * image if config.on_the_fly_augmentation else 0.0
    with limit_blas_threads():
        head = Head(config, source.head_inputs, outputs)
        head_seconds = fresh + _time_epoch(head, (source.head_inputs,), config, train, val, outputs)
    fine_tune = 0.0
    if config.fine_tune_epochs:
        from tlcore.training.fine_tune import TopBlocks

        network = source.transfer_model
        top, shape = TopBlocks(network.top(), config), network.shape(network.cut)
        fine_tune = fresh + _time_epoch(top, shape, config, train, val, outputs)
    epochs = config.epochs * head_seconds + config.fine_tune_epochs * fine_tune
    total = STARTED + missing * image + epochs
    return Cost(image, missing * image, head_seconds, fine_tune, total, missing, disk, memory)


def estimate_memory(
    config: RunConfig, size: NetworkSize, features: int, outputs: int, stored: int
) -> int:
    """Return the bytes that a run will need at most, roughly.

    Args:
        config: its options.
        size: of its network.
        features: inputs of the head.
        outputs: units of its last layer.
        stored: bytes of all features that it reads; those above RESIDENT are mapped only.
    """
    units_of_layers = [features, *config.hidden_units, outputs]
    head = TRAINED * sum(before * after for before, after in pairwise(units_of_layers))
    step = evaluation = 0
    if config.fine_tune_epochs:
        step = STEP * config.batch_size * size.top_activations + TRAINED * size.top_weights
        evaluation = PASS * evaluation_batch_size(FLOAT * size.cut) * size.top_largest
    feature_pass = FLOAT * PASS * FORWARD * size.largest + AHEAD + FLUSH_BYTES
    largest = max(feature_pass, FLOAT * step, FLOAT * evaluation)
    return BASE + FLOAT * (NETWORK * size.weights + head) + largest + min(stored, RESIDENT)


def measure_network(network: TransferModel) -> NetworkSize:
    """Count the weights and activations of a network, in all and above the cut."""
    layers = network.model.layers
    activations = [math.prod(side or 1 for side in layer.output.shape[1:]) for layer in layers]
    top = 1 + [layer.name for layer in layers].index(network.cut)
    return NetworkSize(
        weights=network.model.count_params(),
        largest=max(activations),
        top_weights=sum(layer.count_params() for layer in layers[top:]),
        top_largest=max(activations[top:]),
        top_activations=sum(activations[top:]),
        cut=activations[top - 1],
    )


def _time_image(source: FeatureSource, layers: Sequence[str], copies: Sequence[ImageCopy]) -> float:
    """Return the seconds of one image: decoding and pass added, as both use all processors."""
    tried = copies[:TRIED]
    began = time.perf_counter()
    with decode_batches(tried, source.spec, FORWARD) as batches:
        read = [select_readable(batch, lambda *_: None)[1] for batch in batches]
    decoding = time.perf_counter() - began
    batches_read = [pixels for pixels in read if len(pixels)]
    for pixels in batches_read[:1]:  # the first pass pays for the tracing
        source.transfer_model.forward(pixels, layers)
    began = time.perf_counter()
    for pixels in batches_read:
        source.transfer_model.forward(pixels, layers)
    return (decoding + time.perf_counter() - began) / len(tried)


def _time_epoch(
    learner: Learner,
    shape: tuple[int, ...],
    config: RunConfig,
    train: Sequence[Sample],
    val: Sequence[Sample],
    outputs: int,
) -> float:
    """Return the seconds of an epoch on features of a shape. An image of a large batch takes about
    as long as one of TRIED."""
    inputs = np.zeros((min(config.batch_size, TRIED), *shape), np.float32)
    targets = encode_targets(np.zeros(len(inputs), np.int64), outputs)
    step = _time_second(lambda: learner.step(inputs, targets, None, 1e-6))
    evaluation = _time_second(lambda: learner.evaluate(inputs, targets))
    return (len(train) * step + len(val) * evaluation) / len(inputs)


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
    if memory > (available := _available_memory()):
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
