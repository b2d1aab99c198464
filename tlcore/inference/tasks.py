"""What the inference worker can be asked: each takes the settings first and returns a value."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cache, lru_cache, partial
from pathlib import Path

from tlcore.datasets.dataset import Sample
from tlcore.datasets.decode import read
from tlcore.errors import BadImage
from tlcore.models.answers import NetworkRef, Prediction, Pretrained, Trained
from tlcore.models.batch import predict_many as answer_many
from tlcore.models.brief import Brief, brief
from tlcore.models.explanation import Explanation
from tlcore.models.gradcam import explain as explain_class
from tlcore.models.network import Network, load_pretrained
from tlcore.models.path import ShapePath
from tlcore.models.probabilities import softmax
from tlcore.models.shapes import shape_path as path_of
from tlcore.settings import Settings
from tlcore.training.config import RunConfig
from tlcore.training.kept import learned_from
from tlcore.training.probe import Cost, probe
from tlcore.training.store import load_run
from tlcore.training.studies.enough import Point, enough
from tlcore.training.studies.folds import folds
from tlcore.training.studies.rates import Rates, find_rate, find_rate_for
from tlcore.training.trained import load_trained


def wake(settings: Settings, parent: int) -> int:
    """Return this process's id, once TensorFlow is loaded; from now on it ends with ``parent``.

    A server that is killed cannot take its worker down, and the worker would wait for ever.
    """
    threading.Thread(target=_leave_with, args=(parent,), daemon=True).start()
    return os.getpid()


def _leave_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(0)


def predict(settings: Settings, image: Path, ref: NetworkRef) -> Prediction:
    loaded = network(settings, ref)
    start = time.perf_counter()
    picture = read(image, settings.limits)
    decoded = time.perf_counter() - start
    answer = loaded.predict(picture)
    return replace(answer, seconds=replace(answer.seconds, decode=decoded))


def explain(
    settings: Settings, image: Path, ref: NetworkRef, index: int, layer: str
) -> Explanation:
    return explain_class(network(settings, ref), read(image, settings.limits), index, layer)


def shape_path(settings: Settings, ref: NetworkRef, classes: int) -> ShapePath:
    if not isinstance(ref, Trained):
        return path_of(network(settings, ref), classes)
    run = load_run(ref.run, settings)
    pooling, unfrozen = run.info.config.pooling, learned_from(run)
    return path_of(network(settings, ref), classes, pooling=pooling, unfrozen_from=unfrozen)


def predict_many(
    settings: Settings, images: Sequence[Path], refs: Sequence[NetworkRef]
) -> list[tuple[Brief, ...] | str]:
    networks = [network(settings, ref) for ref in refs]
    return [
        str(logits) if isinstance(logits, BadImage) else tuple(map(brief, map(softmax, logits)))
        for logits in answer_many(networks, images, settings.limits)
    ]


def run_cost(
    settings: Settings, config: RunConfig, train: Sequence[Sample], val: Sequence[Sample]
) -> Cost:
    return probe(config, train, val, settings)


def find_rate_of(
    settings: Settings, config: RunConfig, classes: Sequence[str], train: Sequence[Sample]
) -> Rates:
    return find_rate_for(config, classes, train, settings)


def study(settings: Settings, name: str, run: str) -> Study:
    return STUDIES[name](run, settings)


Study = tuple[Point, ...] | tuple[float, ...] | Rates
STUDIES: Mapping[str, Callable[[str, Settings], Study]] = {
    "enough": enough,
    "folds": folds,
    "find_rate": find_rate,
}


def network(settings: Settings, ref: NetworkRef) -> Network:
    """Return a loaded network; the latest ``settings.models_kept`` stay in memory."""
    return _networks(settings)(ref)


@cache
def _networks(settings: Settings) -> Callable[[NetworkRef], Network]:
    return lru_cache(maxsize=settings.models_kept)(partial(load, settings=settings))


def load(ref: NetworkRef, settings: Settings) -> Network:
    """Load a network of either kind."""
    if isinstance(ref, Pretrained):
        return load_pretrained(ref, settings)
    return load_trained(ref.run, settings)
