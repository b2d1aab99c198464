"""What a run's configuration takes, refuses and fills in."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tlcore.errors import DamagedFile, TLCoreError
from tlcore.storage import write_json
from tlcore.training.config import RunConfig, read_config


def test_what_is_left_open_is_the_backbones_own() -> None:
    config = RunConfig("set", backbone="Xception", learning_rate=2e-3)
    assert config.size == 299
    assert config.unfreeze_from == "block14_sepconv1"
    assert config.fine_tune_learning_rate == pytest.approx(1e-4)


@pytest.mark.parametrize(("head", "top"), [(1e-3, 5e-5), (2e-3, 1e-4), (0.1, 1e-4)])
def test_the_top_blocks_learn_gently_unless_told_otherwise(head: float, top: float) -> None:
    assert RunConfig("set", learning_rate=head).fine_tune_learning_rate == pytest.approx(top)
    told = RunConfig("set", learning_rate=0.1, fine_tune_learning_rate=0.01)
    assert told.fine_tune_learning_rate == 0.01


def test_json_there_and_back(tmp_path: Path) -> None:
    config = RunConfig(
        "set", size=160, pooling="max", seed=7, hidden_units=(8, 4), augmented_copies=2
    )
    write_json(tmp_path / "config.json", config.to_json())
    assert read_config(tmp_path / "config.json") == config


@pytest.mark.parametrize("text", ["", "[]", '{"dataset": "a", "colour": 1}', "{}"])
def test_json_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(text, encoding="utf-8")
    with pytest.raises(DamagedFile, match=r"config\.json"):
        read_config(tmp_path / "config.json")


def each(**values: list[Any]) -> list[dict[str, Any]]:
    return [{name: value} for name, several in values.items() for value in several]


ACCEPTED = [
    *each(epochs=[1], size=[32], dropout=[0.0], on_the_fly_augmentation=[True]),
    {"epochs": 1000, "fine_tune_epochs": 1000},
    {"learning_rate": 0.01, "fine_tune_learning_rate": 0.001},
    {"epochs": 0, "fine_tune_epochs": 1},
    {"hidden_units": (64, 32), "label_smoothing": 0.1, "class_weights": "oversampling"},
    {"augmented_copies": 4, "augmentations": ("flip",)},
]
REFUSED = [
    *each(backbone=["AlexNet"], size=[31], fit=["stretch"], pooling=["mean"], epochs=[0]),
    *each(hidden_units=[(0,), (8,) * 5], classifier_activation=["tanh"], label_smoothing=[0.6]),
    *each(class_weights=["fair"], optimizer=["lion"], learning_rate_schedule=["step"]),
    *each(patience=[-1], augmentations=[("melt",)], batch_size=[0], seed=[-1], dropout=[1.0]),
    *each(learning_rate=[0.0, float("nan")], validation_split=[0.0]),
    {"augmentations": (), "augmented_copies": 1},
    {"augmented_copies": 1, "on_the_fly_augmentation": True},
    {"learning_rate": 0.01, "fine_tune_learning_rate": 0.0011},
]


@pytest.mark.parametrize("options", ACCEPTED)
def test_accepted(options: dict[str, Any]) -> None:
    RunConfig("set", **options)


@pytest.mark.parametrize("options", REFUSED)
def test_refused(options: dict[str, Any]) -> None:
    with pytest.raises(TLCoreError, match="Received"):
        RunConfig("set", **options)
