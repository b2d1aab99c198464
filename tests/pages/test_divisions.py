"""Classes, splits and divisions as the pages show them."""

from __future__ import annotations

import pytest

from tests.cli.test_layouts import cats_and_dogs
from tests.datasets.files import jpeg, zipped
from tests.images import write_patches
from tests.pages.conftest import Opened, html_of, texts
from tests.pages.test_upload import bring
from tests.training.test_train import SMALL
from tests.training.test_train import run as trained
from tlcore.datasets.importing import import_dataset
from tlcore.datasets.sources import from_folder
from tlcore.datasets.store import list_datasets, load_state
from tlcore.settings import Settings
from tlcore.training.config import RunConfig


def test_a_zip_as_downloaded_is_two_classes_with_their_splits(
    opened: Opened, workspace: Settings
) -> None:
    source = ("archive.zip", zipped(cats_and_dogs()).getvalue(), "application/zip")
    at = bring(opened("Upload"), source)
    assert not at.exception
    assert "has 25 images in 2 classes, 1 of them without label." in at.success[0].value
    newest = list_datasets(workspace)[0]
    assert newest.classes == ("cats", "dogs")
    shown = html_of(at.run())
    assert "16 training" in shown
    assert "8 test" in shown
    assert "2 classes" in shown
    assert "1 without label" in shown
    assert f"data {load_state(newest.name, workspace).dataset.hash[:8]}" in shown
    form = opened("Fine-tune", dataset=newest.name)
    assert "2 classes, 12 training and 4 validation images" in texts(form)


def test_classes_that_are_splits_are_refused_before_anything_is_learned(
    opened: Opened, workspace: Settings
) -> None:
    files = {f"{label}/{n}.jpg": jpeg(n + 20 * at) for at, label in enumerate(("train", "bus"))
             for n in range(3)}  # fmt: skip
    source = ("vehicles.zip", zipped(files).getvalue(), "application/zip")
    assert not bring(opened("Upload"), source).exception
    form = opened("Fine-tune", dataset=list_datasets(workspace)[0].name)
    assert "classes with the name of a split: train." in texts(form).replace("\\", "")
    assert not any(button.label == "Start" for button in form.button)


def test_the_learning_curve_says_whether_more_images_would_help(
    opened: Opened, empty_workspace: Settings, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = write_patches(tmp_path_factory.mktemp("patches") / "set", each=20)
    import_dataset("patches", from_folder(folder), empty_workspace)
    config = RunConfig("patches", epochs=20, learning_rate=0.1, **SMALL)
    _, run = trained(empty_workspace, config)
    at = opened("Fine-tune", run=run.name, view="improve")
    at.segmented_control(key=f"study-{run.name}").set_value("learning-curve").run()
    assert not at.exception
    assert "No clear change from 8 to 16 images of each class" in texts(at)
