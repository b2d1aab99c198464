"""Resume with every recipe: what goes on after a stop is what would have been without it."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.images import write_patches
from tests.training import test_resume as whole_runs
from tests.training.test_resume import figures, resume, train, weights_hash
from tests.training.test_train_run import SMALL as TINY
from tlcore.models.build import build_architecture
from tlcore.models.catalog import get_backbone
from tlcore.settings import Settings
from tlcore.training import batches
from tlcore.training.config import RunConfig
from tlcore.training.history import Epoch, Event, Progress, Stage
from tlcore.training.lifecycle import prepare_resume
from tlcore.training.status import STOPPED
from tlcore.training.store import load_run
from tlcore.training.worker import execute_run

SMALL = TINY | {"epochs": 3, "fine_tune_epochs": 2, "learning_rate": 0.02, "dropout": 0.2}
SMALL |= {"hidden_units": (4,)}
RECIPES = {
    "sgd": {"optimizer": "sgd", "class_weights": "oversampling"},
}
MORE = {
    "patience": {"patience": 2, "epochs": 6, "learning_rate": 0.2, "augmented_copies": 2},
    "free": {"on_the_fly_augmentation": True},
    "augmented_copies": {"augmented_copies": 2},
    "cosine": {"learning_rate_schedule": "cosine"},
    "rmsprop": {"optimizer": "rmsprop", "class_weights": "balanced"},
}


def stopper(settings: Settings, when: Callable[[Event], bool]) -> Callable[[Event], None]:
    def emit(event: Event) -> None:
        if when(event):
            (max(settings.runs.glob("[!.]*")) / "stop").touch()

    return emit


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> tuple[Settings, Path]:
    place = tmp_path_factory.mktemp("recipes")
    data = write_patches(place / "set", each=6)
    for number in (3, 4, 5):  # uneven, so that balancing matters
        (data / "red" / f"{number:02}.png").unlink()
    return Settings(home=place / "home", keras_home=place), data


@pytest.mark.parametrize(
    "name", [*RECIPES, *(pytest.param(name, marks=pytest.mark.full) for name in MORE)]
)
def test_stopped_in_each_stage_and_resumed(name: str, home: tuple[Settings, Path]) -> None:
    """Stopped three times: while features are computed, in the head and in the top blocks'
    first epoch; nothing is cached where it begins."""
    settings, data = home
    config = RunConfig(str(data), **SMALL | (RECIPES | MORE)[name])
    whole = train(settings, config)
    cold = Settings(home=settings.home / name, keras_home=settings.keras_home)
    in_features = stopper(cold, lambda event: isinstance(event, Progress))
    folder = train(cold, config, in_features)
    assert load_run(folder.name, cold).info.status == STOPPED
    assert figures(folder, cold) == []
    for when in (
        lambda event: isinstance(event, Epoch) and event.epoch == 2,
        lambda event: isinstance(event, Stage) and event.stage == "fine-tune",
    ):
        _, lock = prepare_resume(folder.name, cold)
        assert execute_run(folder, cold, emit=stopper(cold, when)).status == STOPPED
        os.close(lock)
    resume(folder, cold)
    assert figures(folder, cold) == figures(whole, settings)
    assert weights_hash(folder) == weights_hash(whole)
    one, other = load_run(whole.name, settings).info, load_run(folder.name, cold).info
    assert (one.val_accuracy, one.epochs) == (other.val_accuracy, other.epochs)
    base = build_architecture(get_backbone(SMALL["backbone"]), SMALL["size"], top=False)
    whole_runs.check_normalisation(folder, base)


def test_killed_while_features_are_computed_and_resumed(home: tuple[Settings, Path]) -> None:
    settings, data = home
    config = RunConfig(str(data), **SMALL)
    whole = train(settings, config)
    cold = Settings(home=settings.home / "killed", keras_home=settings.keras_home)
    resumed = whole_runs.kill_and_resume(config, cold, "done", 1)
    whole_runs.check_close(resumed, figures(whole, settings))


def test_stop_in_free_augmentation_comes_between_two_passes(home: tuple[Settings, Path]) -> None:
    """A batch holds all images: none of its steps is made any more."""
    settings, data = home
    recipe = SMALL | {"on_the_fly_augmentation": True, "batch_size": 1024, "fine_tune_epochs": 0}
    passes: list[int] = []

    from tlcore.training.transfer_model import TransferModel

    class Counted(TransferModel):
        def forward(self, pixels: np.ndarray, layers: list[str]) -> list[np.ndarray]:
            passes.append(len(pixels))
            newest = max(settings.runs.glob("[!.]*"))
            if "head" in (newest / "events.jsonl").read_text():
                (newest / "stop").touch()
            return super().forward(pixels, layers)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tlcore.training.transfer_model.TransferModel", Counted)
        folder = train(settings, RunConfig(str(data), **recipe))
    run = load_run(folder.name, settings)
    assert run.info.status == STOPPED
    assert run.history == ()
    assert len(passes) == 1  # one of two passes of the epoch


def test_stop_while_files_are_read_leaves_a_run_that_begins_anew(
    home: tuple[Settings, Path],
) -> None:
    settings, data = home
    config = RunConfig(str(data), **SMALL | {"fine_tune_epochs": 0})
    with pytest.MonkeyPatch.context() as patch:

        def stopped(*_: object) -> bool:
            return True

        patch.setattr("tlcore.training.history.Throttle.is_due", stopped)
        patch.setattr("pathlib.Path.exists", _there_if_stop(Path.exists))
        folder = train(settings, config)
    assert load_run(folder.name, settings).info.status == STOPPED
    assert not (folder / "split.json").exists()
    resume(folder, settings)
    assert len(figures(folder, settings)) == config.epochs


def _there_if_stop(exists: Callable[[Path], bool]) -> Callable[..., bool]:
    """The turn comes, and then somebody asks to stop at once."""

    def there(path: Path, **_: object) -> bool:
        begun = path.name == "stop" and exists(path.parent / "events.jsonl")
        return begun or exists(path)

    return there


@pytest.mark.parametrize("counts", [(30, 6, 3), (5, 5), (1, 17)])
def test_an_even_order_shows_every_class_as_often(counts: tuple[int, ...]) -> None:
    labels = np.repeat(np.arange(len(counts)), counts)
    order, again, other, plain = (
        batches.draw_order(labels, batches.random_numbers(0, "head", epoch, 0), even=even)
        for epoch, even in ((3, True), (3, True), (4, True), (3, False))
    )
    assert len(order) == len(labels)
    shown = np.bincount(labels[order], minlength=len(counts))
    assert shown.max() - shown.min() <= len(counts)
    for label, count in enumerate(counts):
        times = np.bincount(order, minlength=len(labels))[labels == label]
        if shown[label] <= count:  # none twice before all have come once
            assert times.max() <= 1
        else:
            assert times.max() - times.min() <= 2
    assert (order == again).all()
    assert (order != other).any()
    assert sorted(plain.tolist()) == list(range(len(labels)))


def test_views_of_an_epoch_are_drawn_from_all() -> None:
    rows = np.arange(150).reshape(3, 50)
    cached = batches.CachedFeatures(lambda wanted: wanted, rows, 4, 0, "head")
    epochs = [np.concatenate(list(cached.batches(np.arange(50), 16, e))) for e in range(40)]
    shown = np.stack(epochs) // 50
    assert (np.stack(epochs) % 50 == np.arange(50)).all()
    assert all(set(shown[:, image].tolist()) == {0, 1, 2} for image in range(50))


def test_class_weights_make_every_class_weigh_the_same() -> None:
    labels = np.repeat([0, 1, 3], [6, 3, 1])  # none of the class 2
    weights = batches.compute_class_weights(labels, 4)
    sums = [weights[labels[labels == label]].sum() for label in (0, 1, 3)]
    assert sums == pytest.approx([10 / 3] * 3)
