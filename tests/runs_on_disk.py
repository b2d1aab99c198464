"""Runs that nobody trained: folders as a run leaves them, written by the run's own writers."""

from __future__ import annotations

import math
import os
import zipfile
from pathlib import Path

from tlcore.datasets.sample_dataset import SAMPLE_NAME
from tlcore.settings import Settings
from tlcore.storage import write_json
from tlcore.training.config import RunConfig
from tlcore.training.history import Epoch, EventLog, Stage
from tlcore.training.lifecycle import create_run
from tlcore.training.status import FINISHED, FinalStatus, write_final_status

EPOCHS = 200


def write_runs(count: int, settings: Settings) -> list[str]:
    """Write so many finished runs of EPOCHS epochs, no two curves alike; return their ids."""
    return [_write(number, settings) for number in range(count)]


def write_network(folder: Path) -> None:
    """Write what a run that has learned leaves, for tests that never load its network."""
    with zipfile.ZipFile(folder / "model.keras", "w") as file:
        file.writestr("metadata.json", "{}")
    if not (folder / "split.json").exists():
        write_split(folder)


def write_split(folder: Path, train: int = 160, val: int = 48) -> None:
    """Write which images of the classes a and b a run learned from; none of them is there."""
    row = {"file": "a/1.jpg", "path": "/nowhere/1.jpg", "sha256": "0" * 64, "label": "a"}
    rows = {"train": [row] * train, "val": [row] * val}
    write_json(folder / "split.json", {"classes": ["a", "b"], **rows})


def _write(number: int, settings: Settings) -> str:
    config = RunConfig(SAMPLE_NAME, seed=number, epochs=EPOCHS)
    folder, lock = create_run(config, settings)
    log = EventLog(folder / "events.jsonl")
    log.write(Stage("head", EPOCHS))
    for epoch in range(1, EPOCHS + 1):
        wave = math.sin(epoch * (0.3 + 0.05 * number)) / (10 + epoch)
        loss = (1 + number / 10) / (1 + epoch / 10) + wave
        share = 1 - 0.5 / (1 + epoch / (8 + number)) + wave / 4
        log.write(Epoch(epoch, "head", loss, share, loss * 1.1, share * 0.98, 0.1))
    log.close()
    write_json(folder / "provenance.json", {"data_hash": "0" * 64, "images": {"val": 48}})
    write_final_status(folder, FinalStatus(FINISHED, 12.0, 0.9, val_loss=0.3, epochs=EPOCHS))
    os.close(lock)
    return folder.name
