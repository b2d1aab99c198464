"""The first look at each view of a finished run, by a page that nobody has asked anything yet.

    python -m tests.benchmarks.first_look [--photos FOLDER] FOLDER

FOLDER has class folders, or splits with class folders: the images of one run. A second run has
1,440 images in 120 classes, crops of the photographs of --photos in another light. Each view is
drawn by Streamlit's AppTest in a fresh process, in which the form of a run was open before, as
where a run has been started; then it is drawn again with nothing changed. The run's folder is each
time as the run has left it. ``--home`` keeps the runs for another time.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from statistics import median

import numpy as np
from PIL import Image, ImageEnhance
from streamlit.testing.v1 import AppTest

from tlcore.jobs import read_job
from tlcore.settings import PROJECT, Settings
from tlcore.training.config import RunConfig
from tlcore.training.lifecycle import start_run
from tlcore.training.store import evaluation_job, load_run

CLASSES, EACH = 120, 12
SIDE = 640  # px at most of a photograph
AGAIN = 5  # reruns, of which the median counts
ENDED = "ended"  # folder of the runs as they have ended, in the home
VIEWS = ("summary", "mistakes", "label-issues", "embedding")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--photos", type=Path, default=PROJECT.parent / "shared" / "photos")
    parser.add_argument("--home", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        home = arguments.home or Path(temporary)
        settings = replace(Settings.from_environment(), home=home.resolve())
        many = home.resolve() / "120 classes"
        if not many.exists():
            cut_photographs(arguments.photos, many)
        for folder in (arguments.folder.resolve(), many):
            run = trained(folder, settings)
            for view in VIEWS:
                shutil.rmtree(settings.runs / run)
                shutil.copytree(settings.home / ENDED / run, settings.runs / run)
                first, again = look(run, view, settings)
                sys.stdout.write(
                    f"{folder.name}, {view}: first {first:.2f} s, again {again:.3f} s, "
                    f"{first / again:.1f} ×\n"
                )


def cut_photographs(photos: Path, folder: Path) -> None:
    """Make classes of images from one photograph each."""
    draw = np.random.default_rng(0)
    for path in sorted(photos.glob("*.JPEG"))[:CLASSES]:
        (folder / path.stem).mkdir(parents=True)
        with Image.open(path) as opened:
            image = opened.convert("RGB")
        image.thumbnail((SIDE, SIDE))
        for number in range(EACH):
            width, height = (int(side * draw.uniform(0.2, 0.6)) for side in image.size)
            left = int(draw.integers(0, image.width - width))
            top = int(draw.integers(0, image.height - height))
            crop = image.crop((left, top, left + width, top + height))
            light = ImageEnhance.Brightness(crop).enhance(draw.uniform(0.6, 1.5))
            light.save(folder / path.stem / f"{number:02}.jpg")


def trained(folder: Path, settings: Settings) -> str:
    """Return the run of a folder; train it in a process of its own where there is none."""
    for path in settings.runs.glob("[!.]*"):
        if load_run(path.name, settings).info.config.dataset == str(folder):
            return path.name
    run, process = start_run(RunConfig(str(folder), epochs=10), settings)
    process.wait()
    ended = time.perf_counter()
    while (job := read_job(evaluation_job(run, settings))) is not None and job.is_running:
        time.sleep(0.05)
    behind = time.perf_counter() - ended
    sys.stdout.write(f"{folder.name}: {behind:.1f} s behind the run until its views are ready\n")
    shutil.copytree(settings.runs / run, settings.home / ENDED / run)
    return run


def look(run: str, view: str, settings: Settings) -> tuple[float, float]:
    """Return the seconds of the first look at a view in a fresh process, and of a rerun."""
    code = f"from tests.benchmarks import first_look; first_look.measure({run!r}, {view!r})"
    process = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **settings.to_environment()},
        cwd=PROJECT,
        check=True,
        capture_output=True,
        text=True,
    )
    first, again = map(float, process.stdout.split()[-2:])
    return first, again


def measure(run: str, view: str) -> None:
    """Print what ``look`` returns; this is the fresh process."""
    at = AppTest.from_file(str(PROJECT / "app.py"), default_timeout=300)
    at.switch_page("pages/4_Fine_tune.py")
    at.run()
    time.sleep(2)  # the process that answers starts meanwhile
    at.query_params["run"], at.query_params["view"] = run, view
    first, *again = (seconds(at.run) for _ in range(1 + AGAIN))
    assert not at.exception and not at.error, (at.exception, at.error)
    assert at.session_state["_chosen_run_view"] == view
    sys.stdout.write(f"{first} {median(again)}\n")
    sys.stdout.flush()
    os._exit(0)


def seconds(call: Callable[[], object]) -> float:
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
