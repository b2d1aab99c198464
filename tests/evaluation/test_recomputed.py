"""Every figure of an evaluation, recomputed from the model's own logits.

The logits are plain Keras' on pixels that plain Pillow reads; metrics are scikit-learn's, tests and
intervals SciPy's, and what neither has is worked out here from its paper.
"""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from PIL import Image
from scipy.special import expit, softmax
from scipy.stats import binomtest
from sklearn import metrics

from tests.cli.running import answer
from tests.evaluation.made import REAL, train_run
from tlcore.evaluation.evaluation import evaluate as evaluate_run
from tlcore.settings import Settings
from tlcore.training.config import RunConfig
from tlcore.training.run import RunInfo

SIDE = 64  # px, the network's own input: nothing is resized
# kind → (images to learn from, images to judge by) of each class
KINDS = {
    "balanced": [(10, 30)] * 3,
    "120 against 15": [(20, 120), (8, 15)],
    "a class absent from validation": [(10, 24), (10, 12), (10, 0)],
    "120 classes": [(2, 3)] * 120,
}
ALSO = ("balanced", "120 classes")  # with --all


@dataclass(frozen=True)
class Recomputed:
    """A run's figures as the product gives them, and what they are recomputed from."""

    figures: dict[str, Any]  # as JSON
    truth: np.ndarray  # (n,) index of each image's class
    logits: np.ndarray  # (n, classes) float64

    @property
    def probabilities(self) -> np.ndarray:
        return softmax(self.logits, axis=1)

    @property
    def predicted(self) -> np.ndarray:
        return self.logits.argmax(axis=1)

    @property
    def classes(self) -> int:
        return self.logits.shape[1]


def write_images(folder: Path, counts: list[tuple[int, int]]) -> Path:
    """Write images of a colour each that strays far from that of its class: none is easy.

    Of 120 classes a head gets most wrong and is sure: probabilities that float32 has as 0.
    """
    draw = np.random.default_rng(3)
    centres = draw.uniform(60, 190, (len(counts), 3))
    for index, (centre, numbers) in enumerate(zip(centres, counts, strict=True)):
        for split, number in zip(("train", "val"), numbers, strict=True):
            place = folder / split / f"class {index:03}"
            place.mkdir(parents=True)
            for image in range(number):
                colour = centre + draw.normal(0, 30, 3)
                pixels = np.clip(colour + draw.normal(0, 25, (SIDE, SIDE, 3)), 0, 255)
                Image.fromarray(pixels.astype(np.uint8)).save(place / f"{image:03}.png")
    return folder


def logits_of(run: RunInfo) -> tuple[np.ndarray, np.ndarray]:
    """Return (n,) classes and (n, classes) logits of the validation images, by plain Keras."""
    model = keras.models.load_model(run.folder / "model.keras", compile=False)
    split = json.loads((run.folder / "split.json").read_text(encoding="utf-8"))
    pixels = [np.asarray(Image.open(row["path"]), np.float32) for row in split["val"]]
    raw = keras.Model(model.input, model.get_layer("logits").output)(
        np.stack(pixels) / 127.5 - 1, training=False
    ).numpy()
    truth = np.array([split["classes"].index(row["label"]) for row in split["val"]])
    raw = raw.astype(np.float64)
    return truth, np.hstack([np.zeros_like(raw), raw]) if raw.shape[1] == 1 else raw


@pytest.fixture(
    scope="module",
    params=[pytest.param(kind, marks=[pytest.mark.full] if kind in ALSO else []) for kind in KINDS],
)
def recomputed(
    request: pytest.FixtureRequest, shared: Path, tmp_path_factory: pytest.TempPathFactory
) -> Recomputed:
    place = tmp_path_factory.mktemp("recomputed")
    settings = Settings(home=place / "home", keras_home=shared / "keras")
    folder = write_images(place / "images", KINDS[request.param])
    config = RunConfig(str(folder), epochs=8, learning_rate=0.01, fit="squash", **REAL)
    run = train_run(settings, config)
    figures = json.loads(json.dumps(dataclasses.asdict(evaluate_run(run.id, "", settings))))
    if request.param == "120 against 15":
        printed = answer(settings, "runs", "evaluate", run.id)  # and the labels corrected since
        assert {name: printed[name] for name in figures} == figures
    return Recomputed(figures, *logits_of(run))


def wilson(right: int, images: int) -> tuple[float, float]:
    interval = binomtest(right, images).proportion_ci(0.95, method="wilson")
    return float(interval.low), float(interval.high)


def assert_share(share: dict[str, Any], right: int, images: int) -> None:
    """The product has 1.96 standard deviations, SciPy 1.95996."""
    assert (share["images"], share["value"]) == (images, pytest.approx(right / images))
    assert (share["low"], share["high"]) == pytest.approx(wilson(right, images), abs=3e-5)


def test_accuracy_and_confusion(recomputed: Recomputed) -> None:
    figures, truth, predicted = recomputed.figures, recomputed.truth, recomputed.predicted
    assert_share(figures["accuracy"], int((truth == predicted).sum()), len(truth))
    assert 0 < figures["accuracy"]["value"] < 1  # else nothing below would say much
    labels = range(recomputed.classes)
    assert (
        figures["confusion_matrix"]
        == metrics.confusion_matrix(truth, predicted, labels=labels).tolist()
    )


def test_every_class(recomputed: Recomputed) -> None:
    truth, predicted = recomputed.truth, recomputed.predicted
    scores = metrics.f1_score(
        truth, predicted, labels=range(recomputed.classes), average=None, zero_division=0
    )
    for index, row in enumerate(recomputed.figures["per_class"]):
        right = int(((truth == index) & (predicted == index)).sum())
        for name, images in (("recall", truth == index), ("precision", predicted == index)):
            if images.any():
                assert_share(row[name], right, int(images.sum()))
            else:
                assert row[name] is None
        if row["f1"] is not None:
            assert row["f1"] == pytest.approx(scores[index])


def test_what_counts_every_class_alike(recomputed: Recomputed) -> None:
    figures, truth, predicted = recomputed.figures, recomputed.truth, recomputed.predicted
    judged = np.unique(truth)
    assert figures["balanced_accuracy"]["value"] == pytest.approx(
        metrics.recall_score(truth, predicted, labels=judged, average="macro", zero_division=0)
    )
    assert figures["macro_f1"] == pytest.approx(
        metrics.f1_score(truth, predicted, average="macro", zero_division=0)
    )
    images = np.bincount(truth)[judged]
    low, high = figures["balanced_accuracy"]["low"], figures["balanced_accuracy"]["high"]
    if len(set(images)) == 1:  # then it is the accuracy
        right = int((truth == predicted).sum())
        assert (low, high) == pytest.approx(wilson(right, len(truth)), abs=3e-5)
        return
    rights = np.array([((truth == index) & (predicted == index)).sum() for index in judged])
    lows, highs = np.transpose(
        [wilson(int(k), int(n)) for k, n in zip(rights, images, strict=True)]
    )
    value, share = (rights / images).mean(), rights / images
    recovered = (
        value - np.sqrt(((share - lows) ** 2).sum()) / len(judged),
        value + np.sqrt(((highs - share) ** 2).sum()) / len(judged),
    )
    effective, z = len(judged) ** 2 / (1 / images).sum(), 1.96
    half = z * np.sqrt(value * (1 - value) / effective + z**2 / (4 * effective**2))
    middle, scale = value + z**2 / (2 * effective), 1 + z**2 / effective
    assert low == pytest.approx(min(recovered[0], (middle - half) / scale), abs=3e-5)
    assert high == pytest.approx(min(1, max(recovered[1], (middle + half) / scale)), abs=3e-5)


def test_log_loss_and_calibration(recomputed: Recomputed) -> None:
    figures, truth = recomputed.figures, recomputed.truth
    probabilities = recomputed.probabilities
    assert figures["log_loss"] == pytest.approx(
        metrics.log_loss(truth, probabilities, labels=range(recomputed.classes)), rel=1e-4
    )
    sure, right = probabilities.max(axis=1), recomputed.predicted == truth
    bins = np.minimum((sure * 10).astype(int), 9)
    error = sum(
        (bins == place).mean() * abs(sure[bins == place].mean() - right[bins == place].mean())
        for place in np.unique(bins)
    )
    assert figures["calibration"]["error"] == pytest.approx(error, abs=2e-4)
    assert figures["calibration"]["confidence"] == pytest.approx(sure.mean(), abs=1e-4)


def test_two_classes(recomputed: Recomputed) -> None:
    figures, truth, logits = recomputed.figures["binary"], recomputed.truth, recomputed.logits
    if recomputed.classes != 2:
        assert figures is None
        return
    sure = expit(logits[:, 1])
    assert figures["roc_auc"] == pytest.approx(metrics.roc_auc_score(truth, sure), abs=1e-5)
    assert figures["average_precision"] == pytest.approx(
        metrics.average_precision_score(truth, sure), abs=1e-5
    )


def test_the_verdict_beside_always_saying_one_class(recomputed: Recomputed) -> None:
    figures, truth, predicted = (
        recomputed.figures["majority_baseline"],
        recomputed.truth,
        recomputed.predicted,
    )
    base = truth == int(figures["label"].removeprefix("class "))
    assert_share(figures["accuracy"], int(base.sum()), len(truth))
    own = predicted == truth
    gained, lost = int((own & ~base).sum()), int((base & ~own).sum())
    change = figures["difference"]
    assert (change["gained"], change["lost"]) == (gained, lost)
    p = binomtest(gained, gained + lost).pvalue
    assert change["p"] == pytest.approx(p, rel=1e-6)
    better = "better" if gained > lost else "worse"
    assert change["verdict"] == (better if p < 0.05 else "no clear change")
    assert (change["low"] <= 0 <= change["high"]) == (p >= 0.05)


def test_a_class_without_images_is_left_out_by_name(recomputed: Recomputed) -> None:
    figures, truth = recomputed.figures, recomputed.truth
    absent = sorted(set(range(recomputed.classes)) - set(truth.tolist()))
    for index in absent:
        assert any(f"There is no image of “class {index:03}” here" in words for words in
                   figures["warnings"])  # fmt: skip
    assert not any("never predicts" in words and f"class {index:03}" in words
                   for words in figures["warnings"] for index in absent)  # fmt: skip
