"""A loss that is no number any more: said so, and what was learned before is kept."""

from __future__ import annotations

import dataclasses
import io
import json
import math
from collections.abc import Iterator
from pathlib import Path

import keras
import numpy as np
import pytest

from tests.images import write_patches
from tests.training.test_train_run import REAL, run
from tlcore.cli.options import write_json
from tlcore.cli.train import epoch_row
from tlcore.errors import RunError
from tlcore.settings import Settings
from tlcore.training.batches import FeatureArray, Positions, SplitData, encode_targets
from tlcore.training.checkpoint import initial_checkpoint
from tlcore.training.config import RunConfig
from tlcore.training.head import Head
from tlcore.training.history import Epoch, Event, list_epochs
from tlcore.training.loop import Diverged, FitOptions, fit
from tlcore.training.status import FAILED
from tlcore.training.store import load_run
from tlcore.training.studies import STEPS, scan_learning_rates

STEEP = REAL | {"optimizer": "sgd", "learning_rate": 1.0, "epochs": 3}


@pytest.mark.parametrize(
    ("hidden", "kept"),
    [pytest.param((256,) * 4, 0, marks=pytest.mark.full), ((256, 128, 64), 1)],
    ids=["at once", "later"],
)
def test_a_run_whose_loss_explodes_fails_with_its_reason(
    hidden: tuple[int, ...], kept: int, real: Settings, tmp_path: Path
) -> None:
    data = write_patches(tmp_path / "set")
    state, folder = run(real, RunConfig(str(data), hidden_units=hidden, **STEEP))
    found = load_run(folder.name, real)
    assert state == FAILED
    assert f"Received nan in epoch {kept + 1} (head)" in found.info.error
    assert "a learning rate lower than 1" in found.info.error
    assert len(found.history) == found.info.epochs == kept
    assert all(math.isfinite(epoch.val_loss) for epoch in found.history)
    assert (found.info.model is not None) == bool(kept)
    if kept:
        assert found.info.val_loss == found.history[-1].val_loss
        model = keras.models.load_model(found.info.model, compile=False)
        assert all(np.isfinite(each).all() for each in model.get_weights())
    assert "NaN" not in (folder / "events.jsonl").read_text()


def split_of(features: FeatureArray, labels: np.ndarray) -> SplitData:
    return SplitData(features, labels, encode_targets(labels, 1))


@pytest.mark.parametrize("size", [1e15, 1e18])
def test_the_finder_of_rates_stops_where_the_loss_is_no_number(size: float) -> None:
    values = np.random.default_rng(0).normal(0, size, (20, 6)).astype(np.float32)
    config = RunConfig("set", optimizer="sgd", hidden_units=(4, 4))
    data = split_of(FeatureArray(values), np.arange(20) % 2)
    found = scan_learning_rates(Head(config, 6, 1), data, config)
    assert 0 < len(found.rates) < STEPS
    assert all(math.isfinite(loss) for loss in found.losses)
    assert found.suggested < found.rates[-1]
    with pytest.raises(RunError, match="loss of nan in the first step"):
        data = split_of(FeatureArray(values * np.float32(np.nan)), data.labels)
        scan_learning_rates(Head(config, 6, 1), data, config)


@dataclasses.dataclass(frozen=True, eq=False)
class Spoiled(FeatureArray):
    """Values of which one is no number in the epoch ``bad``."""

    bad: int = 0

    def batches(self, order: Positions, size: int, epoch: int) -> Iterator[np.ndarray]:
        for values in super().batches(order, size, epoch):
            yield values * np.float32(np.nan if epoch == self.bad else 1)


@pytest.mark.parametrize(("patience", "bad"), [(0, 0), (0, 2), (5, 2)])
def test_the_learner_is_set_back_to_what_it_knew(patience: int, bad: int) -> None:
    values, labels = np.random.default_rng(0).random((20, 6), np.float32), np.arange(20) % 2
    config = RunConfig("set", epochs=4, batch_size=4, patience=patience)
    told: list[Event] = []
    options = FitOptions(config, 4, config.learning_rate, told.append, keep_best=bool(patience))
    val = split_of(FeatureArray(values), labels)
    head, other = Head(config, 6, 1), Head(config, 6, 1)
    with pytest.raises(Diverged, match=f"in epoch {bad + 1}") as ended:
        train = split_of(Spoiled(values, bad), labels)
        fit(head, train, val, options, initial_checkpoint(config))
    assert len(list_epochs(told)) == ended.value.at.event == bad
    if bad:
        fit(other, val, val, dataclasses.replace(options, epochs=bad), initial_checkpoint(config))
    for ours, theirs in zip(head.weights, other.weights, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_json_has_null_for_what_is_no_number() -> None:
    out = io.StringIO()
    epoch = Epoch(1, "head", math.nan, 0.5, math.inf, 0.5, 0.1, time=2.0)
    write_json(out, {"history": (epoch_row(epoch),), "folder": Path("a"), "best": -math.inf})
    found = json.loads(out.getvalue(), parse_constant=pytest.fail)
    row = found["history"][0]
    assert (row["loss"], row["accuracy"], row["val_loss"]) == (None, 0.5, None)
    assert (found["folder"], found["best"]) == ("a", None)
