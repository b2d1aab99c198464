"""The parts of a report on planted values: what is drawn, what is said, what is never let in."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.evaluation.planted import draw_predictions
from tests.exports.conftest import trained
from tests.images import write_patches
from tlcore.evaluation.evaluation import compute_evaluation, describe_weakest
from tlcore.evaluation.intervals import proportion_of
from tlcore.evaluation.metrics import compute_calibration, compute_class_metrics
from tlcore.evaluation.split_predictions import SplitPredictions, predict_split
from tlcore.exports import report_charts as charts
from tlcore.exports.report import (
    SIDE,
    embed_image,
    exact,
    render_report,
    share_html,
)
from tlcore.settings import Limits, Settings
from tlcore.training.config import RunConfig
from tlcore.training.history import Epoch

ODD = "<i>bl&ue"
SMALL = {"backbone": "MobileNet-0.25", "size": 64, "batch_size": 4, "learning_rate": 0.01}


def evaluated_predictions(run: str, settings: Settings) -> SplitPredictions:
    return predict_split(run, "val", settings)


def epoch(number: int, loss: float, accuracy: float) -> Epoch:
    return Epoch(number, "head", loss, accuracy, loss * 2, accuracy / 2, 1.0)


def points(drawing: str) -> list[list[tuple[float, float]]]:
    """The corners of the lines that have a colour."""
    paths = re.findall(r'<path d="M([^"]+)" fill="none"', drawing)
    return [[tuple(map(float, each.split())) for each in path.split("L")] for path in paths]


def test_a_curve_runs_from_the_first_epoch_to_the_last() -> None:
    history = [epoch(1, 0.8, 0.4), epoch(2, 0.4, 0.8), epoch(3, 0.2, 1.0)]
    train, val = points(charts.draw_curve(history, "loss", None))
    # Twice 0.8 is the highest, so the scale goes to 2; the drawing is 188 high below 12.
    assert [y for _, y in train] == pytest.approx([12 + 188 * (2 - v) / 2 for v in (0.8, 0.4, 0.2)])
    assert [y for _, y in val] == pytest.approx([12 + 188 * (2 - v) / 2 for v in (1.6, 0.8, 0.4)])
    assert [x for x, _ in train] == pytest.approx([44, 186, 328])
    train, _ = points(charts.draw_curve(history, "accuracy", 1))
    assert train[-1] == (328, 12)  # 100% is on top
    assert "fine-tuning" in charts.draw_curve(history, "accuracy", 1)


@pytest.mark.parametrize("loss", [float("inf"), float("nan"), 0.0])
def test_a_loss_that_is_no_number_breaks_nothing(loss: float) -> None:
    drawing = charts.draw_curve([epoch(1, loss, 0.5), epoch(2, 0.5, 0.5)], "loss", None)
    assert "nan" not in drawing
    assert "inf" not in drawing
    assert points(charts.draw_curve([epoch(1, loss, 0.5)], "loss", None)) != []


def test_every_bin_is_a_dot_at_its_place() -> None:
    drawing = charts.draw_reliability(compute_calibration([0.95, 0.95, 0.55], [True, True, False]))
    dots = re.findall(r'<circle cx="([\d.]+)" cy="([\d.]+)" r="([\d.]+)"', drawing)
    assert [float(x) for x, _, _ in dots] == pytest.approx([58 + 0.55 * 220, 58 + 0.95 * 220])
    assert [float(y) for _, y, _ in dots] == [14 + 220, 14]
    assert float(dots[0][2]) < float(dots[1][2]) == 12


def test_shares_carry_their_exact_value() -> None:
    share = share_html(proportion_of(117, 120))
    assert re.sub("<[^>]+>", "", share) == "98% (93–99)"
    assert 'value="0.975"' in share
    assert share_html(None) == "–"
    assert exact(0.5, "a < b") == '<data value="0.5" title="0.5">a &lt; b</data>'


def test_the_report_of_many_classes_lists_the_confused_pairs(
    real: Settings, tmp_path: Path
) -> None:
    """Names of folders stay text, whatever is in them."""
    data = write_patches(tmp_path / "set", classes=2)
    (data / "blue").rename(data / ODD)
    run = trained(RunConfig(str(data), epochs=1, **SMALL), real)
    predictions = evaluated_predictions(run, real)
    evaluation = compute_evaluation(predictions, predictions)
    page = render_report(evaluation, predictions, None, real)
    assert "<i>bl" not in page
    assert "&lt;i&gt;bl&amp;ue" in page
    share = evaluation.accuracy
    assert f"width:{share.value * 100:.2f}%;background:{charts.HEAD}" in page
    assert f"left:{share.low * 100:.2f}%;width:{(share.high - share.low) * 100:.2f}%" in page
    cells = re.findall(r'<td class="(right|wrong)" style="[^"]+">(\d+)</td>', page)
    assert [int(number) for _, number in cells] == np.array(
        evaluation.confusion_matrix
    ).ravel().tolist()
    assert [kind for kind, _ in cells] == ["right", "wrong", "wrong", "right"]
    many = draw_predictions(400, 17, seed=1)
    pairs = compute_evaluation(many, draw_predictions(60, 17, 2, "train")).confused_pairs
    assert sum(number for _, _, number in pairs) == int((~many.correct).sum())
    assert pairs[0][2] >= pairs[-1][2]


def test_a_face_is_a_small_square_and_a_file_that_is_gone_has_none(tmp_path: Path) -> None:
    Image.new("RGB", (900, 300), (200, 30, 30)).save(tmp_path / "a.png")
    address = embed_image(tmp_path / "a.png", "crop", Limits())
    assert address.startswith("data:image/jpeg;base64,")
    assert len(address) < 20 * SIDE
    assert embed_image(tmp_path / "gone.png", "crop", Limits()) == ""


@pytest.mark.parametrize(
    ("right", "images", "words"),
    [
        ([59, 58], [60, 60], "No class is recognised clearly less often than the others."),
        ([60, 60], [60, 60], "No class is recognised clearly less often than the others."),
        ([3] * 100 + [2] * 20, [3] * 120, "With fewer than 10 images of each class, it cannot"),
        ([12, 1], [12, 3], "No class with at least 10 images is recognised clearly less often"),
        ([58, 57, 30], [60] * 3, "It recognises “class 2” (30 of 60 images) clearly less often"),
        ([19] * 59 + [16], [20] * 60, "No class is recognised clearly less often"),  # 1 of 60
        (
            [60] * 6 + [10, 20, 15, 5], [60] * 10,
            "It recognises “class 9” (5 of 60 images), “class 6” (10 of 60 images), “class 8” "
            "(15 of 60 images) and 1 more clearly less often than the others.",
        ),
    ],
)  # fmt: skip
def test_a_class_is_called_less_recognised_only_where_that_is_more_than_chance(
    right: list[int], images: list[int], words: str
) -> None:
    matrix = np.diag(right)
    for index, (hits, number) in enumerate(zip(right, images, strict=True)):
        matrix[index, (index + 1) % len(right)] += number - hits
    labels = tuple(f"class {index}" for index in range(len(right)))
    assert describe_weakest(compute_class_metrics(matrix, labels)).startswith(words)
