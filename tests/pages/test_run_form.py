"""The form of a run: what it says before the start, what it starts, and that it repeats a run."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any

import pytest

from tests.pages.conftest import Opened, field, form, press, texts
from tests.pages.test_upload import jpeg
from tests.runs_on_disk import write_network
from tlcore.datasets.importing import import_dataset
from tlcore.datasets.sample_dataset import SAMPLE_NAME
from tlcore.datasets.sources import incoming_from_uploads
from tlcore.datasets.splits import split_samples
from tlcore.datasets.store import load_dataset
from tlcore.errors import BadConfig
from tlcore.inference.client import Inference
from tlcore.settings import Settings
from tlcore.training.config import OPTIONS, RunConfig
from tlcore.training.cost import Cost
from tlcore.training.lifecycle import create_run, delete_run
from tlcore.training.status import FinalStatus, write_final_status
from tlcore.training.store import list_runs
from tlcore.training.studies import LearningRateScan
from tlcore.ui import services
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
REFUSED = {
    "Epochs": (99_999, "Expected Epochs from 0 to 1000"),
    "Batch size": (5000, "Expected Batch size from 1 to 1024"),
    "Dropout": (1.0, "Expected Dropout from 0 to 0.9"),
    "Seed": (-1, "Expected Seed from 0"),
    "Validation split": (1.0, "Expected Validation split"),
    "Learning rate": (2.0, "Expected Learning rate from"),
    "Label smoothing": (-0.1, "Expected Label smoothing"),
    "Early stopping": (-1, "Expected Early stopping"),
}


def ended(config: RunConfig, settings: Settings) -> str:
    folder, lock = create_run(config, settings)
    write_network(folder)
    write_final_status(folder, FinalStatus("finished", 12.0, 0.75, val_loss=0.5, epochs=3))
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
    dataset = load_dataset(SAMPLE_NAME, settings)
    train, val = split_samples(dataset, config.validation_split, config.seed)
    start_estimate(Plan(config, train, val), settings).exception()


def cost(**values: float) -> Cost:
    whole: dict[str, Any] = {field.name: values.get(field.name, 0) for field in fields(Cost)}
    return Cost(**whole)


def test_the_newest_dataset_that_can_be_trained_is_chosen(
    opened: Opened, workspace: Settings
) -> None:
    import_dataset("lonely", incoming_from_uploads([jpeg(1)[:2]]), workspace)
    at = opened("Fine-tune")
    assert at.selectbox(key="select-dataset").value == SAMPLE_NAME
    assert not at.error
    assert "4 classes, 160 training and 48 validation images" in texts(at)
    at.selectbox(key="select-dataset").set_value("lonely").run()
    assert not at.exception
    assert "at least two classes" in at.info[0].value
    assert any(link.proto.label == "Add or label images" for link in at.get("page_link"))
    at = opened("Fine-tune", dataset="lonely")  # after one image of one's own on Compare
    assert at.selectbox(key="select-dataset").value == SAMPLE_NAME
    assert not at.error


def test_start_asks_for_what_the_form_says_and_for_nothing_that_is_refused(
    opened: Opened, workspace: Settings, started: list[RunConfig], monkeypatch: pytest.MonkeyPatch
) -> None:
    replace_task(monkeypatch, TASK, lambda *_: cost())  # it fits
    at = form(opened)
    for name, (value, words) in REFUSED.items():
        before = field(at, name).value
        field(at, name).set_value(value).run()
        assert any(words in each.value and ":red[" in each.value for each in at.markdown)
        assert at.button(key="start").disabled
        assert words in at.error[0].value and words in at.button(key="start").help
        field(at, name).set_value(before)
    assert at.toggle[0].label == "Fine-tune the top blocks too, at a learning rate of 5e-05"
    field(at, "Learning rate").set_value(0.0002).run()
    assert at.toggle[0].label.endswith("1e-05")
    at.toggle[0].set_value(True).run()
    field(at, "Fine-tuning learning rate").set_value(0.05).run()
    assert at.button(key="start").disabled
    assert "Fine-tuning learning rate" in at.error[0].value  # the features would be lost
    assert started == []
    field(at, "Fine-tuning learning rate").set_value(None)
    field(at, "Learning rate").set_value(0.001)
    field(at, "Epochs").set_value(4)
    field(at, "Fine-tuning epochs").set_value(2)
    field(at, "Pooling").set_value("max").run()
    assert not press(at, "Start").exception
    assert started == [
        RunConfig(SAMPLE_NAME, epochs=4, fine_tune_epochs=2, pooling="max", random_weights=True)
    ]
    assert list_runs(workspace)[0].id in at.query_params["run"]


def test_every_tooltip_says_what_a_setting_is_when_to_change_it_and_its_default() -> None:
    for option in OPTIONS.values():
        assert len(option.help.split()) > 7, option.name
        assert option.explanation.count("Default: ") == 1, option.name
    given = [OPTIONS[name].explanation.split("Default: ")[1] for name in ("seed", "hidden_units")]
    assert given == ["0.", "none."]
    assert OPTIONS["on_the_fly_augmentation"].explanation.endswith("Default: off.")
    assert "Default: 0.001." in OPTIONS["learning_rate"].explanation


def test_a_double_click_starts_one_run(workspace: Settings, started: list[RunConfig]) -> None:
    config = RunConfig(SAMPLE_NAME, size=96)
    first = services.start_run_once(config, workspace)
    assert services.start_run_once(config, workspace) == first
    assert services.start_run_once(replace(config, seed=1), workspace) != first
    assert len(started) == 2
    delete_run(first, workspace)
    assert services.start_run_once(config, workspace) != first


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
    field(at, "Pooling").set_value("flatten").run()
    assert not at.error  # nobody has asked for this one yet
    press(at, "Start")
    assert "Choose a smaller size" in at.error[0].value
    assert started == []


def test_a_small_run_starts_without_waiting_for_its_estimate_and_shows_its_copies(
    opened: Opened, workspace: Settings, started: list[RunConfig], monkeypatch: pytest.MonkeyPatch
) -> None:
    replace_task(monkeypatch, TASK, lambda *_: pytest.fail("asked"))
    at = form(opened)
    assert not at.get("image")
    field(at, "Augmented copies").set_value(4).run()
    assert len(at.get("image")) == 1
    assert "then 4 of its augmented copies" in texts(at)
    field(at, "Augmented copies").set_value(0)
    field(at, "On-the-fly augmentation").check().run()
    assert len(at.get("image")) == 1
    assert "as it is in the first 4 epochs" in texts(at)
    press(at, "Start")
    assert [config.on_the_fly_augmentation for config in started] == [True]


def test_run_again_repeats_all_of_it(
    opened: Opened, workspace: Settings, started: list[RunConfig], monkeypatch: pytest.MonkeyPatch
) -> None:
    replace_task(monkeypatch, TASK, lambda *_: cost())  # it fits
    at = press(opened("Fine-tune", run=ended(UNUSUAL, workspace)), "Run again")
    assert at.selectbox(key="select-backbone").value == "MobileNet-0.25"
    at.button(key="random-MobileNet-0.25").click().run()
    press(at, "Start")
    assert not at.exception
    assert started == [UNUSUAL]


def test_a_rate_left_to_the_form_stays_so(
    opened: Opened, workspace: Settings, started: list[RunConfig]
) -> None:
    run = ended(RunConfig(SAMPLE_NAME, epochs=3, learning_rate=0.01), workspace)
    at = press(opened("Fine-tune", run=run), "Run again")
    at.button(key="random-MobileNetV2").click().run()
    field(at, "Learning rate").set_value(0.001)
    press(at, "Start")
    assert not at.exception
    assert [config.fine_tune_learning_rate for config in started] == [pytest.approx(5e-5)]


def test_run_again_says_what_it_cannot_repeat(opened: Opened, workspace: Settings) -> None:
    run = ended(RunConfig("/somewhere/insects", epochs=3), workspace)
    at = press(opened("Fine-tune", run=run), "Run again")
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
    field(at, "Class weights").set_value("balanced")
    press(at.run(), "Find a learning rate")
    assert not at.exception
    config, images = asked[0]
    assert (config.optimizer, config.size, config.batch_size) == ("adam", 224, 16)
    assert (config.class_weights, config.random_weights, images) == ("balanced", True, 160)
    assert "MobileNetV2 at 224 × 224, Adam, batches of 16, class weights" in texts(at)
    assert "160 features computed for it" in texts(at)
    field(at, "Optimizer").set_value("sgd").run()
    assert not any(button.label == "Use 0.01" for button in at.button)  # that was Adam's
    press(at, "Find a learning rate")
    assert [config.optimizer for config, _ in asked] == ["adam", "sgd"]
    press(at, "Use 0.01")
    assert not at.exception
    assert field(at, "Learning rate").value == 0.01
    assert len(list_runs(workspace)) == 1
