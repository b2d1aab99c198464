"""What a damaged run's message promises: Resume writes a lost end or a lost network again."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from tests.images import write_patches
from tests.training.test_train_run import SMALL, run
from tlcore.datasets.image_io import read_image
from tlcore.settings import Settings
from tlcore.training.config import RunConfig
from tlcore.training.lifecycle import prepare_resume
from tlcore.training.status import DAMAGED, FINISHED
from tlcore.training.store import load_run, load_run_info
from tlcore.training.transfer_model import load_run_model
from tlcore.training.worker import execute_run


@pytest.mark.parametrize(("file", "state"), [("status.json", DAMAGED), ("model.keras", FINISHED)])
def test_resume_writes_a_lost_end_and_a_lost_network_again(
    file: str, state: str, settings: Settings, tmp_path: Path
) -> None:
    data = write_patches(tmp_path / "set", classes=2)
    _, folder = run(settings, RunConfig(str(data), epochs=3, learning_rate=0.01, **SMALL))
    image = read_image(data / "green" / "03.png", settings.limits)
    before, answer = load_run(folder.name, settings), load_run_model(folder.name, settings)
    whole = (folder / file).read_bytes()
    (folder / file).write_bytes(whole[: len(whole) // 2])

    info = load_run_info(folder.name, settings)
    assert (info.status, info.resumable) == (state, True)
    [found] = info.damage
    assert file in found.description
    assert "Resume" in found.description

    _, lock = prepare_resume(folder.name, settings)
    execute_run(folder, settings)
    os.close(lock)
    after = load_run(folder.name, settings)
    assert after.damage == ()
    assert after.info.status == FINISHED
    assert after.info.val_accuracy == before.info.val_accuracy
    assert after.history == before.history  # nothing was learned again
    again = load_run_model(folder.name, settings)
    np.testing.assert_allclose(
        again.predict(image).probabilities, answer.predict(image).probabilities, atol=1e-6
    )
