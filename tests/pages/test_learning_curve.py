"""The learning curve as the Improve view shows it."""

from __future__ import annotations

import pytest

from tests.images import write_patches
from tests.pages.conftest import Opened, texts
from tests.training.test_train_run import SMALL
from tests.training.test_train_run import run as trained
from tlcore.datasets.importing import import_dataset
from tlcore.datasets.sources import incoming_from_folder
from tlcore.settings import Settings
from tlcore.training.config import RunConfig


def test_the_learning_curve_says_whether_more_images_would_help(
    opened: Opened, empty_workspace: Settings, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = write_patches(tmp_path_factory.mktemp("patches") / "set", each=20)
    import_dataset("patches", incoming_from_folder(folder), empty_workspace)
    config = RunConfig("patches", epochs=20, learning_rate=0.1, **SMALL)
    _, run = trained(empty_workspace, config)
    at = opened("Fine-tune", run=run.name, view="improve")
    at.segmented_control(key=f"study-{run.name}").set_value("learning-curve").run()
    assert not at.exception
    assert "No clear change from 8 to 16 images of each class" in texts(at)
