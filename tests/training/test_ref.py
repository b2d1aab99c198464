"""A run's network is asked for by its id and by when it was written."""

from __future__ import annotations

import os
from pathlib import Path

from tests.runs_on_disk import write_network
from tlcore.models.predictions import ModelRef
from tlcore.settings import Settings
from tlcore.training.config import RunConfig
from tlcore.training.lifecycle import create_run
from tlcore.training.store import load_run_info


def test_what_a_resumed_run_writes_is_another_network(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, keras_home=tmp_path)
    folder, lock = create_run(RunConfig("garden"), settings)
    os.close(lock)
    assert load_run_info(folder.name, settings).ref == ModelRef(
        run=folder.name
    )  # nothing to ask yet
    network = folder / "model.keras"
    write_network(folder)
    os.utime(network, ns=(1, 1_000))
    first = load_run_info(folder.name, settings).ref
    write_network(folder)
    os.utime(network, ns=(1, 2_000))
    second = load_run_info(folder.name, settings).ref
    assert (first.run, first.weights) == (folder.name, "1000")
    assert second != first
    assert second == load_run_info(folder.name, settings).ref
