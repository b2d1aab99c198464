"""The form of a run: what it says before the start, and that it repeats a run in all of it."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import fields
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from tests.pages.conftest import Opened, texts
from tests.runs_on_disk import write_network
from tlcore.datasets.sample_dataset import SAMPLE_NAME
from tlcore.datasets.splits import split_samples
from tlcore.datasets.store import load_dataset
from tlcore.errors import BadConfig
from tlcore.inference.client import Inference
from tlcore.settings import Settings
from tlcore.training.config import RunConfig
from tlcore.training.cost import Cost
from tlcore.training.lifecycle import create_run
from tlcore.training.status import FinalStatus, write_final_status
from tlcore.training.store import list_runs
from tlcore.training.studies import LearningRateScan
from tlcore.ui.fine_tune.estimate import TASK, Plan, start_estimate

# Every field another than what the form begins with.
UNUSUAL = RunConfig(
    dataset=SAMPLE_NAME, backbone="MobileNet-0.25", size=96, fit="pad", pooling="max", epochs=7,
    fine_tune_epochs=3, unfreeze_from="conv_pw_12", batch_size=5, learning_rate=0.00123,
    fine_tune_learning_rate=0.000021, dropout=0.25, validation_split=0.4, seed=11,
    random_weights=True, hidden_units=(12, 6), classifier_activation="softmax", label_smoothing=0.1,
    class_weights="balanced", optimizer="sgd", learning_rate_schedule="cosine", patience=4,
    augmentations=("flip", "rotate"), augmented_copies=3,
)  # fmt: skip


def form(opened: Opened) -> AppTest:
    at = opened("Fine-tune")
    return at.button(key="random-MobileNetV2").click().run()


def press(at: AppTest, words: str) -> AppTest:
    return next(button for button in at.button if button.label == words).click().run()


def ended(config: RunConfig, settings: Settings, state: str = "finished") -> str:
    folder, lock = create_run(config, settings)
    write_network(folder)
    write_final_status(folder, FinalStatus(state, 12.0, 0.75, val_loss=0.5, epochs=3))
    os.close(lock)
    return folder.name


def replace_task(
    monkeypatch: pytest.MonkeyPatch, name: str, function: Callable[..., object]
) -> None:
    """Answer one of the inference worker's tasks in its place."""
    real = Inference.ask

    def ask(self: Inference, task: str, *arguments: object) -> object:
        return function(*arguments) if task == name else real(self, task, *arguments)

    monkeypatch.setattr(Inference, "ask", ask)


def finish_estimate(settings: Settings) -> None:
    """Wait for the estimate of the form as it is at first."""
    config = RunConfig(SAMPLE_NAME, random_weights=True)
    train, val = split_samples(
        load_dataset(SAMPLE_NAME, settings), config.validation_split, config.seed
    )
    start_estimate(Plan(config, train, val), settings).exception()


def cost(**values: float) -> Cost:
    whole: dict[str, Any] = {field.name: values.get(field.name, 0) for field in fields(Cost)}
    return Cost(**whole)


def test_the_estimate_comes_by_itself(
    opened: Opened, workspace: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    at = form(opened)
    assert "Estimating the time" in texts(at)
    result = cost(missing=208, disk=40 * 2**20, memory=2**30, total_seconds=24.8)
    replace_task(monkeypatch, TASK, lambda *_: result)
    finish_estimate(workspace)
    words = texts(at.run())
    assert not at.exception
    assert "**About 25 s**, 40 MB of disk, 1.0 GB of memory" in words
    assert "computes features of 208 images" in words


def test_what_cannot_fit_is_said_and_not_started(
    opened: Opened, workspace: Settings, started: list[RunConfig], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> Cost:
        raise BadConfig("Expected room for it. Received none. Choose a smaller size.")

    at = form(opened)
    replace_task(monkeypatch, TASK, refuse)
    finish_estimate(workspace)
    assert "Expected room" in at.run().error[0].value
    next(box for box in at.selectbox if box.label == "Pooling").set_value("flatten").run()
    assert not at.error  # nobody has asked for this one yet
    press(at, "Start")
    assert "Choose a smaller size" in at.error[0].value
    assert started == []


def test_a_small_run_starts_without_waiting_for_its_estimate(
    opened: Opened, workspace: Settings, started: list[RunConfig], monkeypatch: pytest.MonkeyPatch
) -> None:
    replace_task(monkeypatch, TASK, lambda *_: pytest.fail("asked"))
    press(form(opened), "Start")
    assert len(started) == 1


@pytest.mark.parametrize("on_the_fly", [False, True])
def test_augmented_copies_are_shown_before_the_start(
    opened: Opened, workspace: Settings, on_the_fly: bool
) -> None:
    at = form(opened)
    assert not at.get("image")
    if on_the_fly:
        next(box for box in at.checkbox if box.label == "On-the-fly augmentation").check().run()
    else:
        next(n for n in at.number_input if n.label == "Augmented copies").set_value(4).run()
    assert not at.exception
    assert len(at.get("image")) == 1
    words = "as it is in the first 4 epochs" if on_the_fly else "then 4 of its augmented copies"
    assert words in texts(at)


def test_run_again_repeats_all_of_it(
    opened: Opened, workspace: Settings, started: list[RunConfig], monkeypatch: pytest.MonkeyPatch
) -> None:
    replace_task(monkeypatch, TASK, lambda *_: cost())  # it fits
    run = ended(UNUSUAL, workspace)
    at = opened("Fine-tune", run=run)
    press(at, "Run again")
    at.button(key="random-MobileNet-0.25").click().run()
    press(at, "Start")
    assert not at.exception
    assert started == [UNUSUAL]
    at = opened("Fine-tune", run=run)
    press(at, "Run again")
    assert at.selectbox(key="select-backbone").value == "MobileNet-0.25"


def test_a_rate_left_to_the_form_stays_so(
    opened: Opened, workspace: Settings, started: list[RunConfig]
) -> None:
    run = ended(RunConfig(SAMPLE_NAME, epochs=3, learning_rate=0.01), workspace)
    at = opened("Fine-tune", run=run)
    press(at, "Run again")
    at.button(key="random-MobileNetV2").click().run()
    next(n for n in at.number_input if n.label == "Learning rate").set_value(0.001).run()
    press(at, "Start")
    assert not at.exception
    assert [config.fine_tune_learning_rate for config in started] == [pytest.approx(5e-5)]


def test_run_again_says_what_it_cannot_repeat(opened: Opened, workspace: Settings) -> None:
    run = ended(RunConfig("/somewhere/insects", epochs=3), workspace)
    at = opened("Fine-tune", run=run)
    press(at, "Run again")
    assert not at.exception
    assert "trained on “/somewhere/insects”" in texts(at)


def test_a_rate_is_found_for_the_recipe_of_the_form_and_goes_into_it(
    opened: Opened, workspace: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An earlier run of the same images had another optimizer and size."""
    ended(RunConfig(SAMPLE_NAME, epochs=3, optimizer="sgd", size=160, batch_size=4), workspace)
    asked: list[tuple[RunConfig, int]] = []

    def find_rate(config: RunConfig, classes: object, train: list[object]) -> LearningRateScan:
        asked.append((config, len(train)))
        return LearningRateScan((1e-4, 1e-2, 1.0), (0.7, 0.2, 3.0), 0.0123, computed=160)

    replace_task(monkeypatch, "tlcore.training.studies:find_learning_rate_for", find_rate)
    at = form(opened)
    next(box for box in at.selectbox if box.label == "Class weights").set_value("balanced")
    press(at.run(), "Find a learning rate")
    assert not at.exception
    config, images = asked[0]
    assert (config.optimizer, config.size, config.batch_size) == ("adam", 224, 16)
    assert (config.class_weights, config.random_weights, images) == ("balanced", True, 160)
    assert "MobileNetV2 at 224 × 224, Adam, batches of 16, class weights" in texts(at)
    assert "160 features computed for it" in texts(at)
    next(box for box in at.selectbox if box.label == "Optimizer").set_value("sgd").run()
    assert not any(button.label == "Use 0.01" for button in at.button)  # that was Adam's
    press(at, "Find a learning rate")
    assert [config.optimizer for config, _ in asked] == ["adam", "sgd"]
    press(at, "Use 0.01")
    assert not at.exception
    assert next(n for n in at.number_input if n.label == "Learning rate").value == 0.01
    assert len(list_runs(workspace)) == 1
