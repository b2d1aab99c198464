"""Fine-tune: one run while it trains, and each way it can end."""

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

from tests.pages.conftest import Opened, field, html_of, press, texts
from tests.runs_on_disk import write_network, write_split
from tlcore.datasets.sample_dataset import SAMPLE_NAME
from tlcore.settings import PROJECT, Settings
from tlcore.storage import write_json
from tlcore.training.config import RunConfig
from tlcore.training.history import Epoch, EventLog, Progress, Stage
from tlcore.training.lifecycle import create_run
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


def epochs(folder: Path, *losses: float) -> None:
    """Leave epochs with these losses."""
    log = EventLog(folder / "events.jsonl")
    log.write(Stage("head", 10))
    for number, loss in enumerate(losses, 1):
        log.write(Epoch(number, "head", loss, 0.8, loss, 0.75, 0.5))
    log.write(Progress("head", 5))
    log.close()
    write_split(folder)
    write_json(folder / "provenance.json", {"images": {"train": 160, "val": 48}})


def ended(settings: Settings, status: str) -> Path:
    """Leave a run of three epochs that has ended; return its folder."""
    folder, lock = create_run(CONFIG, settings)
    epochs(folder, 0.9, 0.5, 0.3)
    if status:
        write_final_status(folder, FinalStatus(status, 12.0, 0.75))
    os.close(lock)  # without a status it is as if the system had ended the process
    return folder


def captions(at: AppTest) -> str:
    return " ".join(element.value for element in (*at.warning, *at.caption))


def progress(at: AppTest) -> str:
    """The words of the bar."""
    return str(at.get("progress")[0].proto.text)


def test_a_run_at_work_shows_its_curves_is_named_and_stopped(
    opened: Opened, working: Path, workspace: Settings
) -> None:
    epochs(working, 0.7, float("nan"))
    at = opened("Fine-tune", run=working.name)
    assert not at.exception
    assert "epoch 3 of 5 · 75% validation accuracy" in progress(at)
    assert "The loss of 1 epoch is no finite number" in at.warning[0].value
    chart = json.loads(at.get("plotly_chart")[0].proto.spec)
    lines = {line["name"]: line for line in chart["data"]}
    assert lines["training loss"]["x"] == [1, 2]
    assert lines["training loss"]["y"] == [0.7, None]
    assert lines["validation accuracy"]["y"] == [0.75, 0.75]
    assert chart["layout"]["xaxis"]["range"] == [0.5, 5.5]  # all that is planned, from the start
    field(at, "Name").set_value("night run")
    press(at, "Save")
    assert load_run_info(working.name, workspace).notes.name == "night run"
    assert "night run" in texts(at)
    at.button(key="stop").click().run()
    assert (working / "stop").exists()
    assert any(button.label == "Stopping …" for button in at.button)
    os.utime(working / "stop", (1, 1))
    assert any(button.label == "End now" for button in at.run().button)


def test_a_waiting_run_says_its_place(opened: Opened, working: Path, workspace: Settings) -> None:
    at = opened("Fine-tune", run=working.name)
    assert "Starting …" in progress(at)
    folder, lock = create_run(CONFIG, workspace)
    assert "Queued: 1 run before this one" in progress(opened("Fine-tune", run=folder.name))
    assert "Starting …" in progress(at.run())
    epochs(folder, 0.7)  # the later one trains: an earlier one that is resumed waits for it
    assert "Queued: 1 run before this one" in progress(at.run())
    os.close(lock)
    assert not at.exception


def test_a_finished_run_gives_its_accuracy_with_doubt(opened: Opened, workspace: Settings) -> None:
    folder = ended(workspace, "finished")
    write_network(folder)
    at = opened("Fine-tune", run=folder.name)
    assert ">75%</b>" in html_of(at)
    assert "48 validation images<br>95% interval: 61–85%" in html_of(at)
    assert "their files are gone" in at.error[0].value  # of this made-up run
    assert "75% (61–85, 48 images)" in texts(opened("Home"))
    # The first page of a session does not write its address: what was read is no new link.
    at = AppTest.from_file(str(PROJECT / "app.py"), default_timeout=90)
    at.switch_page("pages/4_Fine_tune.py")
    at.query_params["run"] = folder.name
    at.run().button(key="new-run").click().run()
    assert "4 classes" in texts(at)


def keep_predictions(folder: Path, stage: str, right: np.ndarray) -> None:
    """Leave what a stage predicted for images of class 1."""
    np.savez(
        folder / f"stage_predictions-{stage}.npz",
        sha256=[f"{number:064x}" for number in range(len(right))],
        labels=np.ones(len(right), int),
        predicted=right.astype(int),
    )


def two_stages(workspace: Settings, before: int, lost: int, gained: int) -> Path:
    """Leave a run as one ends that kept what both of its stages predicted for 153 images."""
    folder, lock = create_run(replace(CONFIG, fine_tune_epochs=1), workspace)
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
    return folder


@pytest.mark.parametrize(
    ("before", "lost", "gained", "words"),
    [
        (148, 5, 0, "No clear change from fine-tuning: of the same"),  # p = 0.0625
        (148, 14, 2, "made it worse: of the same 153 validation images the head alone"),
        (147, 0, 6, "Fine-tuning made it better: of the same"),
    ],
)
def test_what_the_top_blocks_did_is_judged_by_the_same_images(
    opened: Opened, workspace: Settings, before: int, lost: int, gained: int, words: str
) -> None:
    run = two_stages(workspace, before, lost, gained).name
    at = opened("Fine-tune", run=run, view="curves")
    assert not at.exception
    assert words in captions(at)
    assert bool(at.warning) == ("worse" in words)
    assert ("lower fine-tuning learning" in captions(at)) == ("worse" in words)
    assert f"with fine-tuning it is {before - lost + gained}" in captions(at)


def test_nothing_is_claimed_of_top_blocks_that_are_not_kept_or_without_predictions(
    opened: Opened, workspace: Settings
) -> None:
    """No epoch of the second stage had a lower validation loss than the first epoch; then the
    predictions of the head are damaged, and in the end gone, as of runs made before."""
    folder = two_stages(workspace, 148, 40, 0)
    status = FinalStatus("finished", 12.0, 0.97, best_epoch=1)
    write_final_status(folder, status)
    at = opened("Fine-tune", run=folder.name, view="curves")
    assert "the head alone, as it was after epoch 1, is kept" in captions(at)
    assert "with fine-tuning it is" not in captions(at)
    file = folder / "stage_predictions-head.npz"
    for content in (b"garbage" * 99, b"PK", b""):
        file.write_bytes(content)
        assert "head alone" not in captions(at.run())
        assert not at.exception
    file.unlink()
    assert "head alone" not in captions(at.run())
    assert not at.exception


def test_the_board_judges_each_backbone_by_the_same_images(
    opened: Opened, lasting_workspace: Settings
) -> None:
    """148 and 140 of 153: the intervals overlap, but of 10 that changed sides 9 were lost."""
    this = two_stages(lasting_workspace, 148, 0, 0).name
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
    other = "MobileNet-0.25 without fine-tuning"
    assert f"**Keep MobileNetV2**: the best other is {other}, worse (−5.2" in texts(at)
    keep_predictions(folder, "head", np.ones(153, bool))  # 5 of 153 more
    assert f"**{other} may be better**: +3.3 points, no clear change" in texts(at.run())
    assert at.button(key="use-backbone").label == "Use MobileNet-0.25"
    at.button(key="use-backbone").click().run()
    assert "".join(at.query_params["run"]) == folder.name


def test_a_run_says_after_which_epoch_its_validation_loss_has_turned(
    opened: Opened, working: Path
) -> None:
    epochs(working, 0.4, 0.26, 0.61)
    turned = (
        "Validation loss was lowest after epoch 2 (0.26) and rose after it, to 0.61 after epoch 3."
    )
    at = opened("Fine-tune", run=working.name)
    assert f"{turned} The weights of epoch 2 are kept so far." in texts(at)


def test_a_killed_worker_shows_a_failed_run_and_its_log(
    opened: Opened, workspace: Settings
) -> None:
    folder = ended(workspace, "")
    (folder / "worker.log").write_text("first line\nlast words\n", encoding="utf-8")
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


def test_a_stopped_run_can_go_on_be_named_and_be_deleted(
    opened: Opened, workspace: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    resumed: list[str] = []

    def resume(run: str, settings: Settings) -> tuple[str, subprocess.Popen[Any]]:
        resumed.append(run)
        return run, subprocess.Popen(["true"])

    monkeypatch.setattr(services, "resume_run", resume)
    folder = ended(workspace, "stopped")
    at = press(opened("Fine-tune", run=folder.name), "Resume")
    assert resumed == [folder.name]
    field(at, "Name").set_value("first try")
    press(at, "Save")
    assert load_run_info(folder.name, workspace).notes.name == "first try"
    press(at, "Run again")
    at.button(key="random-MobileNetV2").click().run()
    assert not at.exception
    assert (field(at, "Epochs").value, field(at, "Fine-tuning epochs").value) == (3, 2)
    at = opened("Fine-tune", run=folder.name)
    button = at.button(key="run-delete")  # names what it deletes, in red by its key
    assert "first try" in button.label
    button.click().run()
    assert list_runs(workspace) == []
