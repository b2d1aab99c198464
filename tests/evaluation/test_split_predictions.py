"""Predictions kept by content: what is computed again, and the log loss of the logits."""

from __future__ import annotations

import io
import os
from collections.abc import Mapping
from pathlib import Path

import keras
import numpy as np
import pytest
from scipy.special import log_softmax

from tests.evaluation.made import REAL, stored, train_run, write_splits
from tests.evaluation.test_recomputed import logits_of
from tests.images import write_patches
from tests.training.test_train_run import SMALL
from tlcore.evaluation.evaluation import evaluate as evaluate_run
from tlcore.evaluation.split_predictions import predict_files, predict_split
from tlcore.settings import Settings
from tlcore.training.config import RunConfig
from tlcore.training.provenance import list_samples
from tlcore.training.run import RunInfo
from tlcore.training.store import load_run_info

COUNTS = {split: {"ants": 6, "bees": 4} for split in ("train", "val", "test")}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    folder = tmp_path_factory.mktemp("predictions")
    return Settings(home=folder / "home", keras_home=folder / "keras")


@pytest.fixture(scope="module")
def run(home: Settings, tmp_path_factory: pytest.TempPathFactory) -> RunInfo:
    """One run on random weights for all who put back what they take away."""
    files = write_splits(tmp_path_factory.mktemp("files") / "set", COUNTS, spread=60)
    return train_run(home, RunConfig(stored(home, files), epochs=3, learning_rate=0.01, **SMALL))


@pytest.mark.parametrize("classes", [2, pytest.param(3, marks=pytest.mark.full)])
def test_the_log_loss_of_a_certain_mistake_is_that_of_the_logits(
    classes: int, real: Settings, tmp_path: Path
) -> None:
    """A label that is wrong for sure costs what it costs, not at most 16 nats."""
    folder = tmp_path / "parts"
    write_patches(folder / "train", classes, each=4)
    write_patches(folder / "val", classes, each=3, side=64)
    (folder / "val" / "blue" / "02.png").rename(folder / "val" / "green" / "99.png")
    run = train_run(
        real, RunConfig(str(folder), epochs=60, learning_rate=1.0, fit="squash", **REAL)
    )
    labels, logits = logits_of(run)
    losses = -log_softmax(logits, axis=1)[np.arange(len(labels)), labels]
    assert losses.max() > 20  # where a probability of float32 has long been cut
    assert evaluate_run(run.id, "val", real).log_loss == pytest.approx(losses.mean(), rel=1e-4)


def predicted_files(settings: Settings, info: RunInfo, split: str) -> list[str]:
    """Predict a split; return the files that the model had to predict."""
    files: list[str] = []

    def predict(run: str, chunk: Mapping[str, Path], settings: Settings) -> list:
        files.extend(path.name for path in chunk.values())
        return predict_files(run, chunk, settings)

    predict_split(info.id, split, settings, predict)
    return files


def outdated(file: Path) -> None:
    """Write the file as it was before logits were kept, under the key that it has."""
    with np.load(file) as old:
        number = len(old["imagenet"])
        arrays = {"key": old["key"], "imagenet": old["imagenet"]}
    np.savez(file, probabilities=np.full((number, 2), 0.5, np.float32), **arrays)


def other_classes(file: Path) -> None:
    with np.load(file) as whole:
        arrays = {name: whole[name] for name in whole.files}
    np.savez(file, **arrays | {"logits": np.zeros((len(arrays["logits"]), 5), np.float32)})


ARRAY = io.BytesIO()
np.save(ARRAY, np.zeros(3))
DAMAGE = {
    "empty": lambda file: file.write_bytes(b""),
    "truncated": lambda file: file.write_bytes(file.read_bytes()[:300]),
    "garbage": lambda file: file.write_bytes(os.urandom(2000)),
    "another array": lambda file: file.write_bytes(ARRAY.getvalue()),
    "of an older version": outdated,
    "of other classes": other_classes,
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_damaged_predictions_are_computed_again(damage: str, run: RunInfo, home: Settings) -> None:
    sound = evaluate_run(run.id, "", home)
    DAMAGE[damage](run.folder / "predictions-test.npz")
    assert evaluate_run(run.id, "", home) == sound
    assert predicted_files(home, run, "test") == []


def test_another_model_under_the_same_run_answers_itself(run: RunInfo, home: Settings) -> None:
    """As a resumed run writes one; the old model's predictions are no longer given."""
    before = evaluate_run(run.id, "", home)
    assert run.model is not None
    old = run.model.read_bytes()
    model = keras.models.load_model(run.model, compile=False)
    model.get_layer("logits").set_weights(
        [-each for each in model.get_layer("logits").get_weights()]
    )
    model.save(run.model)
    turned = evaluate_run(run.id, "", home)
    run.model.write_bytes(old)
    assert turned.accuracy.value == pytest.approx(1 - before.accuracy.value)
    assert evaluate_run(run.id, "", home) == before


def test_an_interrupted_review_goes_on_from_there(
    run: RunInfo, home: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tlcore.evaluation.split_predictions.CHUNK", 4)
    (run.folder / "predictions-val.npz").unlink(missing_ok=True)
    behind: list[int] = []

    def click(number: int, _: int) -> None:
        behind.append(number)
        if number == 8:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        predict_split(run.id, "val", home, on_progress=click)
    assert behind == [0, 4, 8]
    assert len(predicted_files(home, run, "val")) == 2
    assert predicted_files(home, run, "val") == []


def test_an_image_that_comes_back_counts_again(run: RunInfo, home: Settings) -> None:
    """One that is gone, or another in its place, is left out by name as long as that lasts."""
    whole = evaluate_run(run.id, "val", home)
    first, second = list_samples(load_run_info(run.id, home), "val")[:2]
    own = first.path.read_bytes()
    (run.folder / "predictions-val.npz").unlink()
    first.path.write_bytes(second.path.read_bytes())
    away = second.path.rename(second.path.with_suffix(".away"))
    result = evaluate_run(run.id, "val", home)
    assert result.unreadable == (first.file, second.file)
    assert predicted_files(home, run, "val") == []  # nothing that could be asked about
    first.path.write_bytes(own)
    away.rename(second.path)
    assert evaluate_run(run.id, "val", home) == whole


def test_a_disk_that_takes_nothing_leaves_the_numbers(
    run: RunInfo, home: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, data: bytes) -> None:
        raise OSError(28, "No space left on device")

    whole = evaluate_run(run.id, "val", home)
    (run.folder / "predictions-val.npz").unlink()
    monkeypatch.setattr("tlcore.evaluation.split_predictions.write_file", full)
    assert evaluate_run(run.id, "val", home) == whole
