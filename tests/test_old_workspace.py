"""A workspace that an earlier release wrote is read as that release read it.

The JSON was printed by the command line of commit 765b24b, with the workspace's path written as
"{home}". The workspace and the JSON never change: a renamed package, folder or file must go on
reading them. Keys may be added to the JSON; a figure that is now computed in another way by design
stands in REDEFINED with the reason.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.cli.running import together
from tests.old_workspace import ANSWERS, DATASET, FINISHED, PLACE, unpack
from tlcore.settings import Settings

# end of a value's place → why it is another one today
REDEFINED = {
    "balanced_accuracy: low": "it was too narrow: 85% coverage for 120 classes of 3 images",
    "balanced_accuracy: high": "as above",
    "data_hash": "It is the hash of the whole dataset, test split included, as `dataset show` has "
    "it; runs noted one of training and validation, their lines joined in another way.",
    "consequence": "sentences, which are worded anew",
    "warnings": "sentences, which are worded anew",
    "imagenet_note": "as above",
    "sentences": "as above",
    "sentence": "as above",
    **{f"shortages[{number}]: words": "as above" for number in range(3)},
}

# key of the release → keys of today, of which the first that is there
RENAMED = {
    "pictures": "image_count images",
    "kept": "accepted",
    "part": "split",
    "matrix": "confusion_matrix",
    "answers": "predicted images",
    "majority": "majority_baseline",
    "beside": "difference",
    "imagenet": "imagenet_accuracy",
    "beside_imagenet": "imagenet_difference",
    "two_class": "binary",
    "looked_for": "positive_class",
    "roc_area": "roc_auc",
    "judged": "images",
    "before": "changed_before",
    "dropped": "excluded_before",
    "since": "changed_since",
    "excluded": "excluded_since",
    "have": "images",
    "enough": "recommended",
    "words": "message description",
    "at": "time",
    "shortages": "small_classes",
    "detail": "details",
    "state": "status",
    "kept_epoch": "best_epoch",
    "val_fraction": "validation_split",
    "hidden": "hidden_units",
    "output": "classifier_activation",
    "balance": "class_weights",
    "schedule": "learning_rate_schedule",
    "augment": "augmentations",
    "views": "augmented_copies",
    "free_augmentation": "on_the_fly_augmentation",
}


RENAMED_VALUES = {"weights": "balanced", "sampling": "oversampling"}  # of class_weights


def test_a_workspace_of_an_earlier_release_reads_the_same(tmp_path: Path) -> None:
    settings = Settings(home=unpack(tmp_path / "home", convert=False), keras_home=tmp_path)
    before = json.loads(ANSWERS.read_text(encoding="utf-8"))
    lines = [[*row["command"], "--json"] for row in before]
    for row, (status, printed, said) in zip(before, together(settings, lines), strict=True):
        assert status == 0, (row["command"], said)
        now = json.loads(printed.replace(str(settings.home), PLACE))
        check_same(row["answer"], now, " ".join(row["command"]))


def test_a_run_of_an_earlier_release_has_the_hash_of_its_dataset(tmp_path: Path) -> None:
    settings = Settings(home=unpack(tmp_path / "home", convert=False), keras_home=tmp_path)
    lines = [["dataset", "show", DATASET, "--json"], ["runs", "show", FINISHED, "--json"]]
    shown, run = (json.loads(printed) for _, printed, _ in together(settings, lines))
    assert run["data_hash"] == shown["hash"]


def check_same(before: Any, now: Any, place: str) -> None:
    """Compare every value that there was, numbers to five digits."""
    if place.endswith(tuple(REDEFINED)):
        return
    if isinstance(before, dict):
        for key in before:
            today = next(name for name in (key, *RENAMED.get(key, "").split()) if name in now)
            check_same(before[key], now[today], f"{place}: {key}")
    elif isinstance(before, list):
        assert len(before) == len(now), place
        for number, (one, other) in enumerate(zip(before, now, strict=True)):
            check_same(one, other, f"{place}[{number}]")
    elif isinstance(before, float):
        assert now == pytest.approx(before, rel=1e-5), place
    else:
        assert RENAMED_VALUES.get(before, before) == now, place
