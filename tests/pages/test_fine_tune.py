"""Fine-tune: the form, one run for a double click, and each way a run can end."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from tests.pages.conftest import Opened, html_of, texts
from tests.pages.test_upload import jpeg
from tests.runs_on_disk import write_network, write_split
from tlcore.datasets.importing import import_dataset
from tlcore.datasets.sample_dataset import SAMPLE_NAME
from tlcore.datasets.sources import incoming_from_uploads
from tlcore.settings import PROJECT, Settings
from tlcore.storage import write_json
from tlcore.training.config import RunConfig
from tlcore.training.history import Epoch, EventLog, Progress, Stage
from tlcore.training.lifecycle import create_run, delete_run
from tlcore.training.status import FinalStatus, write_final_status
from tlcore.training.store import list_runs, load_run_info
from tlcore.ui import services

CONFIG = RunConfig(dataset=SAMPLE_NAME, size=96, epochs=3, fine_tune_epochs=2)


@pytest.fixture
def working(workspace: Settings) -> Iterator[Path]:
    """The folder of a run whose worker lives: this process holds its lock."""
    folder, lock = create_run(CONFIG, workspace)
    yield folder
    os.close(lock)


def epochs(folder: Path, count: int) -> None:
    log = EventLog(folder / "events.jsonl")
    log.write(Stage("head", 10))
    for number in range(1, count + 1):
        log.write(Epoch(number, "head", 1 / number, 0.8, 1.1 / number, 0.75, 0.5))
    log.write(Progress("head", 5))
    log.close()
    write_split(folder)
    write_json(folder / "provenance.json", {"images": {"train": 160, "val": 48}})


def form(opened: Opened) -> AppTest:
    """The form, with random weights accepted."""
    return opened("Fine-tune").button(key="random-MobileNetV2").click().run()


def start(at: AppTest) -> AppTest:
    return at.button(key="start").click().run()


def field(at: AppTest, label: str) -> Any:
    """The number field or menu of that label."""
    return next(widget for widget in (*at.number_input, *at.selectbox) if widget.label == label)


def test_the_form_says_what_it_learns_from(opened: Opened, workspace: Settings) -> None:
    at = opened("Fine-tune")
    assert "4 classes, 160 training and 48 validation images" in texts(at)


def test_a_set_of_one_class_is_refused_with_a_way_on(opened: Opened, workspace: Settings) -> None:
    import_dataset("lonely", incoming_from_uploads([jpeg(1)[:2]]), workspace)
    at = opened("Fine-tune")
    at.selectbox(key="select-dataset").set_value("lonely").run()
    assert not at.exception
    assert "at least two classes" in at.error[0].value


def test_start_asks_for_what_the_form_says(
    opened: Opened, workspace: Settings, started: list[RunConfig]
) -> None:
    at = form(opened)
    at.toggle[0].set_value(True).run()
    field(at, "Epochs").set_value(4)
    field(at, "Fine-tuning epochs").set_value(2)
    field(at, "Pooling").set_value("max")
    assert not start(at).exception
    assert started == [
        RunConfig(SAMPLE_NAME, epochs=4, fine_tune_epochs=2, pooling="max", random_weights=True)
    ]
    assert list_runs(workspace)[0].id in at.query_params["run"]


def test_the_switch_for_fine_tuning_says_its_learning_rate(
    opened: Opened, workspace: Settings, started: list[RunConfig]
) -> None:
    at = form(opened)
    assert at.toggle[0].label == "Fine-tune the top blocks too, at a learning rate of 5e-05"
    field(at, "Learning rate").set_value(0.0002).run()
    assert at.toggle[0].label.endswith("1e-05")
    at.toggle[0].set_value(True).run()
    field(at, "Fine-tuning learning rate").set_value(0.05)
    start(at)
    assert "Fine-tuning learning rate" in at.error[0].value  # the features would be lost
    assert started == []


def test_the_newest_dataset_that_can_be_trained_is_chosen(
    opened: Opened, workspace: Settings
) -> None:
    import_dataset("lonely", incoming_from_uploads([jpeg(1)[:2]]), workspace)
    at = opened("Fine-tune")
    assert at.selectbox(key="select-dataset").value == SAMPLE_NAME
    assert not at.error


@pytest.mark.parametrize(
    ("label", "value", "words"),
    [
        ("Epochs", 99_999, "Expected Epochs from 0 to 1000"),
        ("Batch size", 5000, "Expected Batch size from 1 to 1024"),
        ("Dropout", 1.0, "Expected Dropout from 0 to 0.9"),
        ("Seed", -1, "Expected Seed from 0"),
        ("Validation split", 1.0, "Expected Validation split"),
        ("Learning rate", 2.0, "Expected Learning rate from"),
        ("Label smoothing", -0.1, "Expected Label smoothing"),
        ("Early stopping", -1, "Expected Early stopping"),
    ],
)
def test_what_is_out_of_range_is_refused_and_starts_nothing(
    opened: Opened, workspace: Settings, started: list[RunConfig], label: str, value: float,
    words: str,
) -> None:  # fmt: skip
    at = form(opened)
    field(at, label).set_value(value)
    assert not start(at).exception
    assert words in at.error[0].value
    assert started == []


def test_a_double_click_starts_one_run(workspace: Settings, started: list[RunConfig]) -> None:
    first = services.start_run_once(CONFIG, workspace)
    assert services.start_run_once(CONFIG, workspace) == first
    assert services.start_run_once(replace(CONFIG, seed=1), workspace) != first
    assert len(started) == 2
    delete_run(first, workspace)
    assert services.start_run_once(CONFIG, workspace) != first


def test_a_run_at_work_shows_its_curves_and_can_be_stopped(opened: Opened, working: Path) -> None:
    epochs(working, 2)
    at = opened("Fine-tune", run=working.name)
    assert not at.exception
    assert "epoch 3 of 5 · 75% validation accuracy" in progress(at)
    spec = json.loads(at.get("plotly_chart")[0].proto.spec)
    assert spec["data"][0]["x"] == [1, 2]
    assert spec["layout"]["xaxis"]["range"] == [0.5, 5.5]  # all that is planned, from the start
    at.button(key="stop").click().run()
    assert (working / "stop").exists()
    assert any(button.label == "Stopping …" for button in at.button)


def test_a_run_that_does_not_stop_can_be_ended(opened: Opened, working: Path) -> None:
    epochs(working, 1)
    (working / "stop").touch()
    os.utime(working / "stop", (1, 1))
    at = opened("Fine-tune", run=working.name)
    assert any(button.label == "End now" for button in at.button)


def test_a_waiting_run_says_so(opened: Opened, working: Path) -> None:
    assert "Starting …" in progress(opened("Fine-tune", run=working.name))
    os.utime(working / "config.json", (1, 1))
    at = opened("Fine-tune", run=working.name)
    assert "Queued: other runs are training" in progress(at)
    assert not at.exception


def test_a_finished_run_gives_its_accuracy_with_doubt(opened: Opened, workspace: Settings) -> None:
    folder, lock = create_run(CONFIG, workspace)
    epochs(folder, 3)
    write_network(folder)
    write_final_status(folder, FinalStatus("finished", 12.0, 0.75))
    os.close(lock)
    at = opened("Fine-tune", run=folder.name)
    assert ">75%</b>" in html_of(at)
    assert "48 validation images<br>95% interval: 61–85%" in html_of(at)
    assert "their files are gone" in at.error[0].value  # of this made-up run


@pytest.mark.parametrize(
    ("lost", "gained", "patience", "warning", "caption"),
    [
        (4, 1, 0, "", "No clear change from fine-tuning"),
        (5, 0, 0, "", "No clear change from fine-tuning"),  # p = 0.0625
        (
            14,
            2,
            0,
            "made it worse: of the same 153 validation images the head alone",
            "",
        ),
        (14, 2, 3, "lower fine-tuning learning", ""),
        (0, 6, 0, "", "Fine-tuning made it better"),
        (0, 0, 0, "", "No clear change from fine-tuning"),
    ],
)
def test_what_the_top_blocks_did_is_judged_by_the_same_images(
    opened: Opened, workspace: Settings, lost: int, gained: int, patience: int, warning: str,
    caption: str,
) -> None:  # fmt: skip
    """The head alone is right on 147 of 153 where 6 can be gained, else on 148."""
    before = 148 if gained < 6 else 147
    run = two_stages(workspace, before, lost, gained, patience)
    at = opened("Fine-tune", run=run, view="curves")
    assert not at.exception
    warnings = " ".join(element.value for element in at.warning)
    captions = " ".join(element.value for element in at.caption)
    assert (warning in warnings) if warning else ("worse" not in warnings)
    assert caption in captions
    assert "Early stopping" not in warnings  # the best epoch is kept without it
    assert f"with fine-tuning it is {before - lost + gained}" in warnings + captions


def test_a_head_that_is_kept_alone_is_not_said_to_have_top_blocks(
    opened: Opened, workspace: Settings
) -> None:
    """No epoch of the second stage had a lower validation loss than the first epoch."""
    run = two_stages(workspace, 148, 0, 0, 0)
    write_final_status(
        load_run_info(run, workspace).folder, FinalStatus("finished", 12.0, 0.97, best_epoch=1)
    )
    at = opened("Fine-tune", run=run, view="curves")
    assert not at.exception
    captions = " ".join(element.value for element in at.caption)
    assert "the head alone, as it was after epoch 1, is kept" in captions
    assert "with fine-tuning it is" not in captions


def keep_predictions(folder: Path, stage: str, right: np.ndarray) -> None:
    """Leave what a stage predicted for images of class 1."""
    np.savez(
        folder / f"stage_predictions-{stage}.npz",
        sha256=[f"{number:064x}" for number in range(len(right))],
        labels=np.ones(len(right), int),
        predicted=right.astype(int),
    )


def two_stages(workspace: Settings, before: int, lost: int, gained: int, patience: int) -> str:
    """Leave a run as one ends that kept what both of its stages predicted for 153 images."""
    folder, lock = create_run(replace(CONFIG, fine_tune_epochs=1, patience=patience), workspace)
    right = np.arange(153) < before
    now = right.copy()
    now[:lost] = False
    now[before : before + gained] = True
    log = EventLog(folder / "events.jsonl")
    log.write(Epoch(1, "head", 0.7, 0.8, 0.6, float(right.mean()), 0.5))
    log.write(Epoch(2, "fine-tune", 0.6, 0.9, 0.5, float(now.mean()), 0.5))
    log.close()
    keep_predictions(folder, "head", right)
    keep_predictions(folder, "fine-tune", now)
    write_json(folder / "provenance.json", {"images": {"train": 600, "val": 153}})
    write_network(folder)
    write_final_status(folder, FinalStatus("finished", 12.0, float(now.mean())))
    os.close(lock)
    return folder.name


def test_the_board_judges_each_backbone_by_the_same_images(
    opened: Opened, lasting_workspace: Settings
) -> None:
    """148 and 140 of 153: the intervals overlap, but of 10 that changed sides 9 were lost."""
    this = two_stages(lasting_workspace, 148, 0, 0, 0)
    recipe = load_run_info(this, lasting_workspace).config
    config = replace(
        recipe, backbone="MobileNet-0.25", size=0, unfreeze_from="", fine_tune_epochs=0,
        fine_tune_learning_rate=0.0,
    )  # fmt: skip
    folder, lock = create_run(config, lasting_workspace)
    right = (np.arange(153) >= 9) & (np.arange(153) <= 148)
    keep_predictions(folder, "head", right)
    write_json(folder / "provenance.json", {"images": {"train": 600, "val": 153}})
    write_final_status(folder, FinalStatus("finished", 12.0, float(right.mean())))
    os.close(lock)
    at = opened("Fine-tune", run=this, view="improve")
    at.segmented_control(key=f"study-{this}").set_value("backbones").run()
    assert not at.exception
    table = next(frame.value for frame in at.dataframe if "Compared with this run" in frame.value)
    assert table["Compared with this run"].tolist() == ["", "worse (−5.2 points)"]


@pytest.mark.parametrize("content", [None, b"", b"PK", b"garbage" * 99])
def test_without_the_predictions_of_both_stages_nothing_is_claimed(
    opened: Opened, workspace: Settings, content: bytes | None
) -> None:
    """A run made before they were kept, or one of whose files is damaged."""
    run = two_stages(workspace, 148, 40, 0, 0)
    file = load_run_info(run, workspace).folder / "stage_predictions-head.npz"
    file.unlink() if content is None else file.write_bytes(content)
    at = opened("Fine-tune", run=run, view="curves")
    assert not at.exception
    assert not any(
        "head alone classified" in element.value for element in [*at.warning, *at.caption]
    )


def test_a_run_says_after_which_epoch_its_validation_loss_has_turned(
    opened: Opened, workspace: Settings
) -> None:
    folder, lock = create_run(CONFIG, workspace)
    log = EventLog(folder / "events.jsonl")
    for number, loss in enumerate((0.4, 0.26, 0.61), 1):
        log.write(Epoch(number, "head", 0.1, 0.9, loss, 0.9, 0.5))
    log.close()
    write_json(folder / "provenance.json", {"images": {"train": 100, "val": 40}})
    turned = (
        "Validation loss was lowest after epoch 2 (0.26) and rose after it, to 0.61 after epoch 3."
    )
    kept = "The weights of epoch 2 are kept"
    assert f"{turned} {kept} so far." in texts(opened("Fine-tune", run=folder.name))
    write_final_status(
        folder, FinalStatus("finished", 12.0, 0.9, val_loss=0.26, epochs=3, best_epoch=2)
    )
    os.close(lock)
    assert f"{kept}." in texts(opened("Fine-tune", run=folder.name))


def test_a_killed_worker_shows_a_failed_run_and_its_log(
    opened: Opened, workspace: Settings
) -> None:
    folder, lock = create_run(CONFIG, workspace)
    epochs(folder, 1)
    (folder / "worker.log").write_text("first line\nlast words\n", encoding="utf-8")
    os.close(lock)  # what the system does for a process that is gone
    assert load_run_info(folder.name, workspace).status == "failed"
    at = opened("Fine-tune", run=folder.name)
    assert "was killed" in at.error[0].value
    assert "last words" in at.code[0].value


def test_an_unknown_run_leaves_a_way_back(opened: Opened, workspace: Settings) -> None:
    at = opened("Fine-tune", run="nonsense")
    assert "nonsense" in at.error[0].value
    at.button(key="new-run").click().run()
    assert not at.error
    assert "4 classes" in texts(at)


def test_the_first_click_after_a_link_counts(workspace: Settings) -> None:
    """The first page of a session does not write its address: what was read is no new link."""
    at = AppTest.from_file(str(PROJECT / "app.py"), default_timeout=90)
    at.switch_page("pages/4_Fine_tune.py")
    at.query_params["run"] = two_stages(workspace, 148, 0, 0, 0)
    at.run()
    at.button(key="new-run").click().run()
    assert "4 classes" in texts(at)


def test_home_lists_the_newest_runs(opened: Opened, workspace: Settings) -> None:
    folder, lock = create_run(CONFIG, workspace)
    epochs(folder, 3)
    write_final_status(folder, FinalStatus("finished", 12.0, 0.75))
    os.close(lock)
    at = opened("Home")
    assert "75% (61–85, 48 images)" in texts(at)


def test_a_stopped_run_can_go_on_be_named_and_be_deleted(
    opened: Opened, workspace: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    resumed: list[str] = []

    def resume(run: str, settings: Settings) -> tuple[str, subprocess.Popen[bytes]]:
        resumed.append(run)
        return run, subprocess.Popen(["true"])

    monkeypatch.setattr(services, "resume_run", resume)
    folder, lock = create_run(CONFIG, workspace)
    epochs(folder, 2)
    write_final_status(folder, FinalStatus("stopped", 12.0, 0.75))
    os.close(lock)
    at = opened("Fine-tune", run=folder.name)
    next(button for button in at.button if button.label == "Resume").click().run()
    assert resumed == [folder.name]
    next(each for each in at.text_input if each.label == "Name").set_value("first try")
    next(button for button in at.button if button.label == "Save").click().run()
    assert load_run_info(folder.name, workspace).notes.name == "first try"
    next(button for button in at.button if button.label == "Run again").click().run()
    at.button(key="random-MobileNetV2").click().run()
    assert not at.exception
    assert (field(at, "Epochs").value, field(at, "Fine-tuning epochs").value) == (3, 2)
    at = opened("Fine-tune", run=folder.name)
    next(button for button in at.button if button.label == "Delete this run").click().run()
    assert list_runs(workspace) == []


def test_a_run_is_named_while_it_works(opened: Opened, working: Path, workspace: Settings) -> None:
    epochs(working, 1)
    at = opened("Fine-tune", run=working.name)
    next(each for each in at.text_input if each.label == "Name").set_value("night run")
    next(button for button in at.button if button.label == "Save").click().run()
    assert not at.exception
    assert load_run_info(working.name, workspace).notes.name == "night run"
    assert "night run" in texts(at)


@pytest.mark.parametrize("loss", [float("nan"), float("inf")])
def test_a_run_that_diverged_is_drawn_without_what_it_lost(
    opened: Opened, working: Path, workspace: Settings, loss: float
) -> None:
    log = EventLog(working / "events.jsonl")
    log.write(Stage("head", 10))
    log.write(Epoch(1, "head", 0.7, 0.8, 0.6, 0.75, 0.5))
    log.write(Epoch(2, "head", loss, 0.5, loss, 0.5, 0.5))
    log.close()
    at = opened("Fine-tune", run=working.name)
    assert not at.exception
    assert "The loss of 1 epoch is no finite number" in at.warning[0].value
    drawn = {line["name"]: line["y"] for line in lines_of(at)}
    assert drawn["training loss"] == [0.7, None]
    assert drawn["validation accuracy"] == [0.75, 0.5]


def progress(at: AppTest) -> str:
    """The words of the bar."""
    return str(at.get("progress")[0].proto.text)


def lines_of(at: AppTest) -> list[dict[str, Any]]:
    """The curves of the first chart."""
    lines: list[dict[str, Any]] = json.loads(at.get("plotly_chart")[0].proto.spec)["data"]
    return lines
