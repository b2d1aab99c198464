"""The views of a finished run: metrics, mistakes, corrections, label issues, comparison."""

from __future__ import annotations

import html
import json
import os
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from tests.cli.running import answer, tlcore
from tests.evaluation.made import REAL, stored, train_run, write_splits
from tests.images import write_patches
from tests.job_files import write_job
from tests.pages.conftest import Opened, field, grid_of, press, select_in_grid, texts
from tests.training.test_train_run import SMALL
from tlcore.datasets.edits import relabel, rename_class
from tlcore.datasets.store import load_state
from tlcore.errors import WorkerDied
from tlcore.evaluation.corrections import corrected_run
from tlcore.evaluation.evaluation import Evaluation
from tlcore.evaluation.evaluation import evaluate as evaluate_run
from tlcore.exports.report import write_report
from tlcore.jobs import RUNNING
from tlcore.settings import Settings
from tlcore.storage import lock_file
from tlcore.training.config import RunConfig
from tlcore.training.history import Epoch
from tlcore.training.lifecycle import create_run, prepare_resume
from tlcore.training.provenance import list_samples
from tlcore.training.run import RunInfo
from tlcore.training.store import evaluation_job, list_runs, load_run_info
from tlcore.training.worker import execute_run
from tlcore.ui import services
from tlcore.ui.format import escape_md

COUNTS = {
    "train": {"ants": 12, "bees": 12},
    "val": {"ants": 7, "bees": 11},
    "test": {"ants": 5, "bees": 9},
}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> RunInfo:
    """A real run on random weights, whose answers are kept: the page asks nobody."""
    folder = tmp_path_factory.mktemp("made")
    settings = Settings(home=folder / "home", keras_home=folder / "keras")
    name = stored(settings, write_splits(folder / "files", COUNTS, spread=60))
    info = train_run(settings, RunConfig(name, epochs=3, learning_rate=0.01, **SMALL))
    for split in ("test", "val"):
        evaluate_run(info.id, split, settings)
    return info


@pytest.fixture
def run(made: RunInfo, empty_workspace: Settings) -> RunInfo:
    """It, in a home of its own."""
    shutil.copytree(made.folder.parents[1], empty_workspace.home)
    return load_run_info(made.id, empty_workspace)


def cells(evaluation: Evaluation) -> dict[str, int]:
    return {
        f"{true}-{predicted}": number
        for true, row in enumerate(evaluation.confusion_matrix)
        for predicted, number in enumerate(row)
        if number
    }


def test_the_numbers_are_the_evaluations(
    opened: Opened, run: RunInfo, empty_workspace: Settings
) -> None:
    at = opened("Fine-tune", run=run.id, view="summary")
    for split in ("test", "val"):
        evaluation = evaluate_run(run.id, split, empty_workspace)
        at.segmented_control(key=f"split-{run.id}").set_value(split).run()
        assert not at.exception
        shown = {metric.label: metric.value for metric in at.metric}
        assert shown["Log loss"] == f"{evaluation.log_loss:.2f}"
        assert shown["Macro F1"] == f"{evaluation.macro_f1:.2f}"
        assert shown["Balanced accuracy"].startswith(f"{evaluation.balanced_accuracy.value:.0%} (")
        assert evaluation.majority_baseline.difference.text in texts(at)
        assert f"of the same {evaluation.images} images" in texts(at)
        table = next(f.value for f in at.dataframe if "Recall" in f.value)
        assert table["Images"].tolist() == [each.images for each in evaluation.worst_first]
        (warning,) = (warning.value for warning in at.warning)  # one box for all of them
        assert all(escape_md(words) in warning for words in evaluation.warnings)
        assert "ImageNet's weights" in texts(at)  # random weights have no such baseline
        assert "A head always answers one of its classes" in texts(at)  # beside the calibration
    at.slider(key=f"threshold-{run.id}-val").set_value(0).run()
    assert not at.exception
    shown = {metric.label: metric.value for metric in at.metric}
    assert shown["Recall of bees"].startswith("100%")
    assert shown["False positives"] == "7"


def test_compare_opens_on_an_image_not_seen_in_training_and_says_so(
    opened: Opened, run: RunInfo, empty_workspace: Settings
) -> None:
    """Also where a training image was chosen on Compare before the run began."""
    train = {sample.sha256 for sample in list_samples(run, "train")}
    at = opened("Fine-tune", run=run.id, view="summary")
    at.session_state["_chosen_dataset"] = run.config.dataset
    at.session_state["_chosen_image"] = next(iter(train))
    at.button(key="open-compare").click().run()
    assert at.session_state["_chosen_image"] not in train
    assert "not seen in training" in texts(at)


def grid(at: AppTest) -> str:
    """The key of the image grid in which one selects."""
    data = [json.loads(element.proto.json) for element in at.get("bidi_component")]
    ids = [element.proto.id for element in at.get("bidi_component")]
    return next(id for id, each in zip(ids, data, strict=True) if each.get("selectable"))


def chosen_mistake(at: AppTest, run: RunInfo, evaluation: Evaluation) -> str:
    """Choose the first image of a cell of mistakes; its file."""
    wrong = next(cell for cell in cells(evaluation) if len(set(cell.split("-"))) == 2)
    at.selectbox(key=f"cell-{run.id}-test").set_value(wrong).run()
    select_in_grid(at, grid(at), 0)
    assert not at.exception
    return str(grid_of(at, grid(at))["images"][0]["id"])


def new_label(at: AppTest) -> Any:
    """The menu of another label for one image."""
    return next(box for box in at.selectbox if str(box.label) == "New label of 1 image")


def label_of(file: str, settings: Settings) -> str:
    return load_state("insects", settings).by_key[file].label


def test_a_cell_leads_to_its_images_and_their_repair(
    opened: Opened, run: RunInfo, empty_workspace: Settings, started: list[RunConfig]
) -> None:
    evaluation = evaluate_run(run.id, "", empty_workspace)
    at = opened("Fine-tune", run=run.id, view="mistakes")
    for cell, number in cells(evaluation).items():
        at.selectbox(key=f"cell-{run.id}-test").set_value(cell).run()
        assert not at.exception
        assert len(grid_of(at, grid(at))["images"]) == number
    file = chosen_mistake(at, run, evaluation)
    before = label_of(file, empty_workspace)
    assert new_label(at).value is None
    mend = [button for button in at.button if str(button.key).startswith("correct-")]
    assert [button.label for button in mend][:3] == ["The label is correct", "Relabel", "Exclude"]
    assert [button.proto.type for button in mend][:3] == ["primary", "secondary", "secondary"]
    assert mend[1].disabled
    mend[0].click().run()
    assert not at.exception
    assert label_of(file, empty_workspace) == before
    assert "Since this run: 1 confirmed" in texts(at)
    assert "label confirmed" in grid_of(at, grid(at))["images"][0]["title"]
    assert not [button for button in at.button if button.key == "correct-again"]  # the same labels
    at.button(key="correct-undo").click().run()
    assert "confirmed" not in texts(at) + grid_of(at, grid(at))["images"][0]["title"]
    select_in_grid(at, grid(at), 0)
    other = "ants" if before == "bees" else "bees"
    new_label(at).set_value(other).run()
    at.button(key="correct-relabel").click().run()
    assert label_of(file, empty_workspace) == other
    assert "1 relabelled" in texts(at)
    at.button(key="correct-undo").click().run()
    assert label_of(file, empty_workspace) == before
    select_in_grid(at, grid(at), 0)
    at.button(key="correct-exclude").click().run()
    assert "1 excluded" in texts(at)
    at.button(key="correct-again").click().run()
    assert started == [run.config]
    newest = list_runs(empty_workspace)[0]
    assert corrected_run(newest) == run.id
    assert newest.id in at.query_params["run"]


def test_a_confirmed_label_is_no_label_issue_any_more(
    opened: Opened, run: RunInfo, empty_workspace: Settings
) -> None:
    at = opened("Fine-tune", run=run.id, view="label-issues")
    doubted = r"\*\*(\d+) labels? of 24 may be wrong"
    number = int(re.search(doubted, texts(at)).group(1))  # type: ignore[union-attr]
    select_in_grid(at, grid(at), 0)
    file = grid_of(at, grid(at))["images"][0]["id"]
    assert new_label(at).value is None
    at.button(key="correct-confirm").click().run()
    assert not at.exception
    left = re.search(doubted, texts(at))
    assert (int(left.group(1)) if left else 0) == number - 1
    assert grid_of(at, grid(at))["images"][0]["id"] != file
    captions = [image["caption"] for image in grid_of(at, grid(at))["images"]]
    assert set(captions) <= {"ants → bees?", "bees → ants?"}
    at.button(key="accept-suggestions").click().run()
    assert not at.exception
    assert f"Since this run: {number - 1} relabelled, 1 confirmed" in texts(at)


def test_corrected_labels_are_said_beside_the_figures(
    opened: Opened, run: RunInfo, empty_workspace: Settings, tmp_path: Path
) -> None:
    """One of 14 test and 3 of 18 validation labels: of the run that they were corrected after, and
    of the next one."""
    at = opened("Fine-tune", run=run.id, view="mistakes")
    assert "corrected since this run" not in texts(at)
    file = chosen_mistake(at, run, evaluate_run(run.id, "", empty_workspace))
    new_label(at).set_value("ants" if label_of(file, empty_workspace) == "bees" else "bees").run()
    at.button(key="correct-relabel").click().run()
    assert "1 label corrected since this run (1 test)" in texts(at)
    state = load_state("insects", empty_workspace)
    ants = [item.key for item in state.included if (item.split, item.label) == ("val", "ants")]
    relabel("insects", ants[:3], "bees", empty_workspace)
    words = "4 labels corrected since this run (3 validation, 1 test)"
    assert words in texts(opened("Fine-tune", run=run.id, view="summary"))
    corrections = answer(empty_workspace, "runs", "evaluate", run.id)["corrections"]
    assert (corrections["changed_before"], corrections["images"]) == (0, 14)
    assert corrections["changed_since"]["test"] == 1
    assert words in corrections["sentences"][0]

    later = train_run(empty_workspace, run.config)
    words = "1 of 14 labels of the test split was changed after an earlier run had been evaluated"
    report = tmp_path / "report.html"
    write_report(later.id, report, empty_workspace, lambda *_: None)
    assert words in html.unescape(report.read_text("utf-8"))
    told = tlcore(empty_workspace, "runs", "evaluate", later.id).stdout
    assert words in told
    assert "corrected since this run" not in told
    at = opened("Fine-tune", run=later.id, view="summary")
    assert words in texts(at)
    at.segmented_control(key=f"split-{later.id}").set_value("val").run()
    assert "3 of 18 labels of the validation split were changed after an earlier run" in texts(at)
    rename_class("insects", "ants", "Ants", empty_workspace)  # corrects nothing
    renamed = train_run(empty_workspace, run.config)
    assert "1 of 14 labels of the test split was changed" in texts(
        opened("Fine-tune", run=renamed.id, view="summary")
    )


def test_a_damaged_split_costs_no_more_than_what_it_says(opened: Opened, run: RunInfo) -> None:
    (run.folder / "split.json").write_text("{")
    at = opened("Fine-tune", run=run.id)
    assert not at.exception
    assert not at.error
    assert at.metric[0].label == "Validation accuracy"
    assert "split.json is damaged" in texts(at).replace("\u2060", "").replace("\\", "")


def test_what_cannot_be_mended_says_why(
    opened: Opened, run: RunInfo, made: RunInfo, empty_workspace: Settings
) -> None:
    files = made.folder.parents[2] / "files"
    folder = train_run(empty_workspace, RunConfig(str(files), epochs=1, **SMALL))
    evaluate_run(folder.id, "", empty_workspace)
    at = opened("Fine-tune", run=folder.id, view="mistakes")
    assert not at.exception
    assert "read in place" in at.info[0].value
    (empty_workspace.datasets / "insects").rename(empty_workspace.datasets / "beetles")
    at = opened("Fine-tune", run=run.id, view="mistakes")
    assert "no longer here" in at.info[0].value


def test_two_runs_are_held_against_each_other(
    opened: Opened, run: RunInfo, empty_workspace: Settings
) -> None:
    at = opened("Fine-tune", run=run.id, view="compare")
    assert "no other run" in at.info[0].value
    later = train_run(empty_workspace, run.config)
    at = opened("Fine-tune", run=later.id, view="compare")
    assert not at.exception
    assert "Of the same 14 images" in texts(at)
    assert "No image changed sides" in texts(at)
    shown = {metric.label: metric.value for metric in at.metric}
    assert shown["Change on the test split"].startswith("0.0 points")
    assert "and this run " in texts(at)
    assert not re.search("earlier|later", texts(at))


def test_the_map_counts_images_left_out_of_judging_apart(
    opened: Opened, empty_workspace: Settings, tmp_path: Path
) -> None:
    """Of 12 test images 8 are copies of training images: no test, and so neither right nor
    wrong."""
    counts = {"train": {"ants": 8, "bees": 8}, "val": {"ants": 4, "bees": 4}, "test": {"ants": 2,
              "bees": 2}}  # fmt: skip
    files = write_splits(tmp_path / "files", counts, spread=60)
    for label in ("ants", "bees"):
        for number in range(4):
            source = files / "train" / label / f"{number:02}.png"
            shutil.copy(source, files / "test" / label / f"copy{number}.png")
    run = train_run(empty_workspace, RunConfig(str(files), epochs=3, learning_rate=0.01, **SMALL))
    right = 0
    for split in ("train", "val", "test"):
        evaluation = evaluate_run(run.id, split, empty_workspace)
        right += evaluation.accuracy.count
    at = opened("Fine-tune", run=run.id, view="embedding")
    at.segmented_control(key="embedding-colour").set_value("Correct or wrong").run()
    assert not at.exception
    groups = {trace["name"]: trace for trace in map_of(at)}
    sizes = {name: len(trace["hovertext"]) for name, trace in groups.items()}
    assert sizes["not evaluated"] == 8
    assert sizes.get("correct", 0) == right
    assert sizes.get("wrong", 0) == 16 + 8 + 4 - right
    assert all("not evaluated" in words for words in groups["not evaluated"]["hovertext"])
    at.segmented_control(key="embedding-colour").set_value("Confidence").run()
    sizes = {trace["name"]: len(trace["hovertext"]) for trace in map_of(at)}
    assert sizes == {"confidence": 28, "not evaluated": 8}


def map_of(at: AppTest) -> list[dict[str, Any]]:
    traces: list[dict[str, Any]] = json.loads(at.get("plotly_chart")[0].proto.spec)["data"]
    return traces


def test_a_review_that_was_interrupted_is_not_mixed_with_the_resumed_model(
    opened: Opened, real_workspace: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The worker dies after the first 128 of 140 images; then the run goes on, and is reviewed."""
    counts = {"train": {"ants": 20, "bees": 20}, "val": {"ants": 70, "bees": 70}}
    name = stored(real_workspace, write_splits(tmp_path / "files", counts, spread=60))
    config = RunConfig(name, epochs=8, learning_rate=0.003, **REAL)
    folder, lock = create_run(config, real_workspace)
    stopping = lambda event: (folder / "stop").touch() if isinstance(event, Epoch) else None  # noqa: E731
    assert execute_run(folder, real_workspace, emit=stopping).status == "stopped"
    os.close(lock)
    lent, asked = services.Inference, []

    class Dying(lent):
        def ask(self, task: str, *args: object) -> object:
            asked.append(task)
            if sum(task.endswith(":predict_files") for task in asked) == 2:
                raise WorkerDied("It was killed.")
            return super().ask(task, *args)

    monkeypatch.setattr(services, "Inference", Dying)
    at = opened("Fine-tune", run=folder.name, view="summary")
    assert "It was killed." in texts(at)
    before = load_run_info(folder.name, real_workspace).val_loss
    folder, lock = prepare_resume(folder.name, real_workspace)
    assert execute_run(folder, real_workspace).status == "finished"
    os.close(lock)
    at.run()
    assert not at.exception
    after = load_run_info(folder.name, real_workspace).val_loss
    shown = {metric.label: metric.value for metric in at.metric}
    assert shown["Log loss"] == f"{after:.2f}" != f"{before:.2f}"
    questions = len(asked)
    at.run()
    assert len(asked) == questions  # a second look asks no network


def test_two_images_of_a_class_are_too_few_to_doubt_labels_and_percentages(
    opened: Opened, empty_workspace: Settings, tmp_path: Path
) -> None:
    counts = {"train": {"ants": 12, "bees": 1}, "val": {"ants": 3, "bees": 1}}
    name = stored(empty_workspace, write_splits(tmp_path / "files", counts))
    run = train_run(empty_workspace, RunConfig(name, epochs=1, **SMALL))
    job = write_job(
        empty_workspace, evaluation_job(run.id, empty_workspace).name, RUNNING, 0, 1, ""
    )
    with lock_file(job / "job.lock"):  # what the job behind the run computes is waited for
        at = opened("Fine-tune", run=run.id, view="label-issues")
        assert "Cross-validating the head on all images …" in texts(at) and not at.info
    at = at.run()
    assert not at.exception
    assert at.info[0].value == escape_md(
        "Too few images to tell whether labels are wrong (ants 15, bees 2): at least 10 "
        "different ones per class are needed."
    )
    assert "may be wrong" not in texts(at)
    assert "doubted" not in texts(at)
    evaluate_run(run.id, "", empty_workspace)
    at = opened("Fine-tune", run=run.id, view="summary")
    assert "4 images are too few to tell" in texts(at)
    assert "can be taken as they are" not in texts(at)
    assert "4 images)" in texts(at)  # how often it was right, with its doubt


def test_the_learning_curve_says_whether_more_images_would_help(
    opened: Opened, empty_workspace: Settings, tmp_path: Path
) -> None:
    name = stored(empty_workspace, write_patches(tmp_path / "set", each=20), "patches")
    run = train_run(empty_workspace, RunConfig(name, epochs=20, learning_rate=0.1, **SMALL)).id
    at = opened("Fine-tune", run=run, view="improve")
    at.segmented_control(key=f"study-{run}").set_value("learning-curve").run()
    assert not at.exception
    assert "**More images may help little**: " in texts(at)
    assert " points from 8 to 16 images of each class" in texts(at)
    press(at, "Try other backbones")
    assert "The weights of no other backbone are here" in at.info[0].value
    at.segmented_control(key=f"study-{run}").set_value("cross-validation").run()
    assert "is what other splits give too" in texts(at) or "owes much to its split" in texts(at)
    at.segmented_control(key=f"study-{run}").set_value("learning-rate").run()
    assert "This run had 0.1" in texts(at)
    used = at.button(key="use-rate").label.removeprefix("Use ")
    at.button(key="use-rate").click().run()
    assert not at.exception
    at.button(key="random-MobileNet-0.25").click().run()
    assert f"{field(at, 'Learning rate').value:g}" == used
