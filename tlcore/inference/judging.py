"""Asking a run's network, and ImageNet's beside it, about a whole part."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np

from tlcore.errors import BadImage
from tlcore.evaluation.evaluation import Evaluation
from tlcore.evaluation.judged import UNKNOWN
from tlcore.evaluation.predictions import Answers, evaluation_of, imagenet_of
from tlcore.inference.tasks import network
from tlcore.models.batch import predict_many
from tlcore.models.network import Network
from tlcore.settings import Settings
from tlcore.training.config import RunConfig
from tlcore.training.store import run_info


def answers(settings: Settings, run: str, paths: Sequence[Path]) -> Answers:
    """Return the logits of a run's network for these files, and ImageNet's first class of each.

    ImageNet is asked with the run's own backbone, size and geometry, where its 1000 classes can be
    had in that size; each file is decoded once for both.
    """
    info = run_info(run, settings)
    own = network(settings, info.ref)
    both = [own, *_imagenet(settings, info.config)]
    logits = np.full((len(paths), len(own.labels)), np.nan, np.float32)
    first = np.full(len(paths), UNKNOWN, np.int64)
    for place, told in enumerate(predict_many(both, paths, settings.limits)):
        if isinstance(told, BadImage):
            continue
        logits[place] = told[0]
        if len(told) > 1:
            first[place] = told[1].argmax()
    return Answers(logits, first)


def evaluate_run(settings: Settings, run: str, part: str = "") -> Evaluation:
    """Return the honest numbers of a run, its network loaded in this process. See ``review``."""
    return evaluation_of(run, part, settings, partial(answers, settings, run))


def _imagenet(settings: Settings, config: RunConfig) -> list[Network]:
    """Return the network with ImageNet's classes, or none where it cannot be had."""
    ref = imagenet_of(config, settings)
    return [] if ref is None else [network(settings, ref)]
