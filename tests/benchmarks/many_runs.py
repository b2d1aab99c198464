"""How long the Fine-tune page takes with 50 and with 500 runs on disk; FOLDER is not needed."""

from __future__ import annotations

import os
import sys
import tempfile
import time
from pathlib import Path

from streamlit.testing.v1 import AppTest

from tlcore.files import write_json
from tlcore.images.sample import SAMPLE_NAME
from tlcore.runs.config import RunConfig
from tlcore.runs.events import Epoch, EventLog
from tlcore.runs.store import FINISHED, Outcome, create_run, list_runs, write_outcome
from tlcore.settings import PROJECT, Settings


def make(count: int, settings: Settings) -> None:
    for number in range(count):
        folder, lock = create_run(RunConfig(SAMPLE_NAME, seed=number), settings)
        log = EventLog(folder / "events.jsonl")
        for epoch in range(1, 201):
            log.write(Epoch(epoch, "head", 1 / epoch, 0.9, 1 / epoch, 0.9, 0.1))
        log.close()
        write_json(folder / "facts.json", {"data_hash": "0" * 64, "pictures": {"val": 48}})
        write_outcome(folder, Outcome(FINISHED, 12.0, 0.9, val_loss=0.3, epochs=200))
        os.close(lock)


def page() -> float:
    began = time.perf_counter()
    at = AppTest.from_file(str(PROJECT / "app.py"), default_timeout=90)
    at.switch_page("pages/4_Fine_tune.py")
    at.run()
    assert not at.exception
    return time.perf_counter() - began


def main() -> None:
    with tempfile.TemporaryDirectory() as home:
        settings = Settings(home=Path(home), keras_home=Path(home))
        os.environ.update(settings.to_environment())
        page()
        figures = []
        for count in (50, 450):
            make(count, settings)
            began = time.perf_counter()
            list_runs(settings)
            listed = time.perf_counter() - began
            figures.append((listed, sorted(page() for _ in range(5))[2]))
    for count, (listed, shown) in zip((50, 500), figures, strict=True):
        sys.stdout.write(f"{count} runs: listed in {listed:.3f} s, the page in {shown:.2f} s\n")
    sys.stdout.write(f"{figures[1][1] / figures[0][1]:.2f} ×\n")


if __name__ == "__main__":
    main()
