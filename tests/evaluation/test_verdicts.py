"""What is read of a run whose every answer is planted: command line, report and page data."""

from __future__ import annotations

import html
import re
from pathlib import Path

import pytest

from tests.cli.running import answer, tlcore
from tests.evaluation.coloured import Counts, coloured_run
from tests.evaluation.planted import make_predictions
from tlcore.evaluation.comparison import compare_stages
from tlcore.evaluation.evaluation import compute_evaluation
from tlcore.evaluation.evaluation import evaluate as evaluate_run
from tlcore.exports.report import write_report
from tlcore.settings import Settings
from tlcore.training.run import RunInfo
from tlcore.training.store import load_run

EVEN: Counts = {
    "train": {"cats": {"red": 12}, "dogs": {"blue": 12}},
    "val": {"cats": {"red": 59, "blue": 1}, "dogs": {"blue": 58, "red": 2}},
}
FEW: Counts = {
    "train": {label: {colour: 8} for label, colour in
              (("ants", "red"), ("bees", "blue"), ("flies", "green"), ("moths", "white"))},
    "val": {"ants": {"red": 30}, "bees": {"blue": 5, "red": 15}, "flies": {"green": 1}},
}  # fmt: skip
VAL = {"cats": {"red": 46, "white": 12, "green": 2}, "dogs": {"blue": 60}}
BEFORE: Counts = {
    "train": {"cats": {"red": 8, "green": 8}, "dogs": {"blue": 8, "white": 8}},
    "val": VAL,
}
AFTER: Counts = {
    "train": {"cats": {"red": 8, "white": 8}, "dogs": {"blue": 8, "green": 8}},
    "val": VAL,
}


@pytest.fixture(scope="module")
def home(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return Settings(home=tmp_path_factory.mktemp("verdicts"), keras_home=shared / "keras")


@pytest.fixture(scope="module")
def even(home: Settings, tmp_path_factory: pytest.TempPathFactory) -> RunInfo:
    run = coloured_run(home, tmp_path_factory.mktemp("even") / "pets", EVEN)
    assert evaluate_run(run.id, "", home).confusion_matrix == ((59, 1), (2, 58))
    return run


@pytest.fixture(scope="module")
def few(home: Settings, tmp_path_factory: pytest.TempPathFactory) -> RunInfo:
    run = coloured_run(home, tmp_path_factory.mktemp("few") / "insects", FEW)
    matrix = evaluate_run(run.id, "", home).confusion_matrix
    assert matrix == ((30, 0, 0, 0), (15, 5, 0, 0), (0, 0, 1, 0), (0, 0, 0, 0))
    return run


def report_text(run: RunInfo, settings: Settings, folder: Path) -> str:
    """Everything that a run's report says, as one line."""
    write_report(run.id, folder / "report.html", settings, lambda done, steps, words: None)
    body = (folder / "report.html").read_text(encoding="utf-8").split("</style>")[1]
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", body)).split())


def test_59_against_58_of_60_is_no_difference_between_classes(
    even: RunInfo, home: Settings, tmp_path: Path
) -> None:
    words = report_text(even, home, tmp_path)
    assert "No class is recognised clearly less often than the others." in words
    assert "98% 117 of 120 validation images classified correctly." in words
    assert "The 95% interval of its true accuracy on such images is 93–99%." in words
    assert (
        "It is better than always predicting “cats”: 117 right against 60 of the same 120 images "
        "(+47.5 points, 95% interval +37.6 to +56.5)."
    ) in words
    assert "It finds" not in words
    assert "would lie" not in words
    assert "100%" not in words.split("Accuracy: share")[0].split("How it was trained")[0]
    assert not re.search(r"\b1 (answers|images|classes|epochs|mistakes|labels)\b", words)


def test_a_weak_class_is_named_and_one_without_images_left_out_by_name(
    few: RunInfo, home: Settings, tmp_path: Path
) -> None:
    words = report_text(few, home, tmp_path)
    assert "It recognises “bees” (5 of 20 images) clearly less often than the others." in words
    assert "with every class counting alike; without “moths”, of which there is no image" in words
    assert "There is no image of “moths” here" in words
    assert "“flies” has only 1 image here" in words
    assert "never predicts" not in words  # of moths none was to be seen
    line = tlcore(home, "runs", "evaluate", few.id).stdout.splitlines()
    assert "balanced accuracy  75% (41–93, 51 images)" in line
    assert any("leave it out" in each for each in line)


def test_runs_compare_says_which_run_is_better_by_the_same_images(
    home: Settings, tmp_path: Path
) -> None:
    """12 gained and 2 lost of 120: p = 0.0129, though the two intervals overlap."""
    first = coloured_run(home, tmp_path / "before", BEFORE)
    second = coloured_run(home, tmp_path / "after", AFTER)
    for run in (first, second):
        evaluate_run(run.id, "", home)
    result = answer(home, "runs", "compare", second.id, first.id)
    (verdict,) = result["verdicts"]
    assert (verdict["first"], verdict["second"]) == (first.id, second.id)
    change = verdict["difference"]
    assert (change["gained"], change["lost"], change["verdict"]) == (12, 2, "better")
    assert change["first"]["high"] > change["second"]["low"]
    assert change["p"] == pytest.approx(0.0129, abs=1e-4)
    assert change["low"] > 0
    assert len(verdict["gained"]) == 12
    text = tlcore(home, "runs", "compare", first.id, second.id).stdout
    assert "That is better by more than chance would explain (p = 0.0129)." in text


def test_runs_without_images_in_common_are_not_judged(
    even: RunInfo, few: RunInfo, home: Settings
) -> None:
    (verdict,) = answer(home, "runs", "compare", even.id, few.id)["verdicts"]
    assert "No image evaluates both runs" in verdict["error"]


def test_a_baseline_is_judged_by_the_same_images() -> None:
    """117 right against 107 of the same 120: 12 gained, 2 lost; so few can be enough."""
    labels = [0] * 60 + [1] * 60
    own, base = list(labels), list(labels)
    for place in (0, 1, 2):  # three that the head gets wrong, two of which ImageNet knew
        own[place] = 1
    for place in (2, *range(60, 72)):
        base[place] = 1 - base[place]
    probabilities = [[0.9, 0.1] if predictions == 0 else [0.1, 0.9] for predictions in own]
    train = make_predictions([0, 1, 1], [[0.9, 0.1]] * 3, "train", imagenet=[7, 8, 8])
    result = compute_evaluation(
        make_predictions(labels, probabilities, imagenet=[7 + predictions for predictions in base]),
        train,
    )
    assert result.imagenet_accuracy is not None and result.imagenet_difference is not None
    assert (result.accuracy.count, result.imagenet_accuracy.count) == (117, 107)
    assert result.imagenet_accuracy.high > result.accuracy.low  # the two intervals overlap
    assert result.imagenet_difference.sentence("ImageNet alone") == (
        "It is better than ImageNet alone: 117 right against 107 of the same 120 images "
        "(+8.3 points, 95% interval +1.7 to +15.3)."
    )


@pytest.mark.parametrize(
    ("labels", "predicted", "first"),
    [
        ([0] * 12, [0] * 12, "Only images of “class 0” were evaluated"),
        ([0], [0], "Only images of “class 0” were evaluated"),
        ([0] * 12 + [1] * 12, [0] * 24, "It predicts “class 0” for every image"),
    ],
)
def test_warnings_follow_what_was_to_be_seen(
    labels: list[int], predicted: list[int], first: str
) -> None:
    predictions = make_predictions(
        labels, [[0.9, 0.1] if each == 0 else [0.1, 0.9] for each in predicted]
    )
    warnings = compute_evaluation(predictions, predictions).warnings
    assert warnings[0].startswith(first)
    assert len([words for words in warnings if "predicts" in words]) == (first[:2] == "It")


def test_many_small_classes_are_one_warning() -> None:
    labels = [index for index in range(30) for _ in range(3)]
    rows = [[0.9 if index == label else 0.1 / 29 for index in range(30)] for label in labels]
    predictions = make_predictions(labels, rows)
    warnings = compute_evaluation(predictions, predictions).warnings
    assert warnings == (
        "30 of 30 classes are judged by fewer than 10 images, so the metrics of any one of them "
        "may be far off.",
    )


@pytest.mark.parametrize("output", ["sigmoid", pytest.param("softmax", marks=pytest.mark.full)])
def test_both_stages_keep_what_they_predict_of_the_same_images(
    home: Settings, tmp_path: Path, output: str
) -> None:
    """The head's share and the final one are those of the run's own history."""
    counts: Counts = {
        "train": {"cats": {"red": 6, "green": 6}, "dogs": {"blue": 6, "white": 6}},
        "val": {"cats": {"red": 6, "white": 5}, "dogs": {"blue": 7, "green": 3}},
    }
    options = {
        "classifier_activation": output,
        "fine_tune_epochs": 1,
        "fine_tune_learning_rate": 0.001,
    }
    run = coloured_run(home, tmp_path / "pets", counts, **options)
    head, tuned = load_run(run.id, home).history[-2:]
    assert (head.stage, tuned.stage) == ("head", "fine-tune")
    change = compare_stages(run)
    assert change is not None
    assert change.second.images == 21
    assert change.first.value == pytest.approx(head.val_accuracy)
    assert change.second.value == pytest.approx(run.val_accuracy)
    assert change.second.value == pytest.approx(evaluate_run(run.id, "", home).accuracy.value)
