"""What a run will cost, before it starts: some pictures are tried, the rest is counted."""

from __future__ import annotations

import resource
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np

from tlcore.errors import BadConfig
from tlcore.images.dataset import Sample
from tlcore.networks.units import units
from tlcore.runs.config import RunConfig
from tlcore.runs.training.inputs import stored_requests, targets_of
from tlcore.runs.training.pictures import FORWARD, Request, decoded, hashed
from tlcore.runs.training.supply import Supply, readable
from tlcore.settings import Settings

TRIED = 4 * FORWARD  # pictures
COPIES = 4  # of the head's weights: themselves, two moments, the slope


@dataclass(frozen=True)
class Cost:
    """What a run needs."""

    feature_seconds: float  # until all values are in the cache
    epoch_seconds: float  # of the head, beyond these; with free augmentation the network runs
    tuned_seconds: float  # of an epoch of the top blocks, its validation included; 0 without them
    missing: int  # pictures and views that the cache does not have
    disk: int  # bytes that the cache will grow by
    memory: int  # bytes resident at most, roughly


def probe(
    config: RunConfig, train: Sequence[Sample], val: Sequence[Sample], settings: Settings
) -> Cost:
    """Try some pictures and say what the whole run will need.

    Raises:
        BadConfig: it cannot fit into the cache, onto the disk or into memory.
        WeightsMissing: the backbone's weights are not here.
    """
    labels = {sample.label for sample in [*train, *val]}
    supply = Supply(config, len(labels), settings)
    try:
        layers = [supply.pooled] + ([supply.whole.cut] if config.fine_tune_epochs else [])
        requests = stored_requests(config, hashed(train), hashed(val))
        missing = len(supply.missing(layers, requests))
        a_picture = _seconds_a_picture(supply, layers, requests) if missing else 0.0
        if config.free_augmentation and not a_picture:
            a_picture = _seconds_a_picture(supply, layers, requests)
        disk = sum(supply.shelf(layer).bytes_of(missing) for layer in layers)
        features = int(np.prod(supply.shelf(supply.pooled).shape))
        learned = len(train) * (1 + config.views)
        tuned = _tuned_seconds(supply, learned, len(val), len(labels)) if len(layers) > 1 else 0.0
    finally:
        supply.close()
    cost = Cost(
        feature_seconds=missing * a_picture,
        epoch_seconds=len(train) * a_picture if config.free_augmentation else 0.0,
        tuned_seconds=tuned + (len(train) * a_picture if config.free_augmentation else 0.0)
        if config.fine_tune_epochs
        else 0.0,
        missing=missing,
        disk=disk,
        memory=_memory(config, features, len(labels)),
    )
    _refuse(cost, settings)
    return cost


def _seconds_a_picture(supply: Supply, layers: Sequence[str], requests: Sequence[Request]) -> float:
    """Time the decoding, and the passes behind the first, which pays for the tracing. The sum
    counts: both want all the processors there are."""
    tried = requests[:TRIED]
    began = time.perf_counter()
    with decoded(tried, supply.looking, FORWARD) as batches:
        read = [readable(batch, lambda *_: None)[1] for batch in batches]
    decoding = (time.perf_counter() - began) / len(tried)
    passes = [pixels for pixels in read if len(pixels)]
    for pixels in passes[:1]:
        supply.whole.forward(pixels, layers)
    began = time.perf_counter()
    for pixels in passes:
        supply.whole.forward(pixels, layers)
    return decoding + (time.perf_counter() - began) / len(tried)


def _tuned_seconds(supply: Supply, learned: int, judged: int, classes: int) -> float:
    """Try two steps of the top blocks, and two looks: the first ones pay for the tracing."""
    from tlcore.runs.training.top import Top

    config = supply.config
    top = Top(supply.whole.top(), config)
    batch = np.zeros((config.batch_size, *supply.whole.shape(supply.whole.cut)), np.float32)
    targets = targets_of(np.zeros(len(batch), np.int64), units(classes, config.output))
    rate = config.fine_tune_learning_rate
    step = _second(lambda: top.step(batch, targets, None, rate))
    look_at = _second(lambda: top.evaluate(batch, targets))
    return (learned * step + judged * look_at) / len(batch)


def _second(call: Callable[[], object]) -> float:
    call()
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


def _memory(config: RunConfig, features: int, classes: int) -> int:
    sides = [features, *config.hidden, classes]
    weights = sum(before * behind for before, behind in pairwise(sides))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return peak + 4 * (COPIES * weights + 2 * 256 * features)


def _refuse(cost: Cost, settings: Settings) -> None:
    if cost.disk > settings.cache_bytes:
        raise BadConfig(
            f"Expected features of at most {settings.cache_bytes / 2**30:.3g} GiB "
            f"(TLCORE_CACHE_BYTES). Received {cost.disk / 2**30:.3g} GiB. Allow more, or choose "
            "a smaller size, fewer views, another pooling or a later layer."
        )
    settings.home.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(settings.home).free
    if cost.disk > free:
        raise BadConfig(
            f"Expected {cost.disk / 2**30:.3g} GiB free on the disk. Received "
            f"{free / 2**30:.3g} GiB. Make room, or choose a smaller size or fewer views."
        )
    if cost.memory > _memory_free():
        raise BadConfig(
            f"Expected {cost.memory / 2**30:.3g} GiB of free memory. Received "
            f"{_memory_free() / 2**30:.3g} GiB. Choose a smaller size, another pooling or "
            "smaller dense layers."
        )


def _memory_free() -> int:
    """Return the bytes of memory that can be had, or a great number where nobody tells."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return 2**62
    found = (int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable"))
    return next(found, 2**62)
