"""Answers planted by hand, as a run would have given them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from tlcore.datasets.dataset import Sample
from tlcore.evaluation.split_predictions import NOT_PREDICTED, SplitPredictions


def make_predictions(
    labels: list[int],
    probabilities: list[list[float]],
    split: str = "test",
    imagenet: list[int] | None = None,
    run: str = "planted",
) -> SplitPredictions:
    """An image for each label, called 000.jpg, 001.jpg …"""
    classes = tuple(f"class {index}" for index in range(len(probabilities[0])))
    samples = tuple(
        Sample(
            f"{number:03}.jpg", Path(f"{number:03}.jpg"), f"{number:064x}", classes[label], split
        )
        for number, label in enumerate(labels)
    )
    return SplitPredictions(
        run,
        split,
        classes,
        samples,
        np.array(labels, np.int64),
        np.log(np.maximum(np.array(probabilities, np.float32), np.float32(1e-30))),
        np.array(imagenet or [NOT_PREDICTED] * len(labels), np.int64),
    )


def draw_predictions(images: int, classes: int, seed: int, split: str = "test") -> SplitPredictions:
    """Answers of a network that is right more often than not, drawn with a seed."""
    draw = np.random.default_rng(seed)
    labels = draw.integers(0, classes, images)
    logits = draw.normal(0, 1.5, (images, classes))
    logits[np.arange(images), labels] += 1.5
    powers = np.exp(logits)
    shares = powers / powers.sum(axis=1, keepdims=True)
    return make_predictions(labels.tolist(), shares.tolist(), split)


def select_rows(predictions: SplitPredictions, *places: int) -> SplitPredictions:
    """The predictions of the images at these indices alone."""
    rows = np.array(places, np.int64)
    return replace(
        predictions,
        samples=tuple(predictions.samples[place] for place in places),
        labels=predictions.labels[rows],
        logits=predictions.logits[rows],
        imagenet=predictions.imagenet[rows],
    )
