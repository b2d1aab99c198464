"""A bundle as a person gets it: what is in it, what it answers, and what comes of trouble."""

from __future__ import annotations

import json
import os
import resource
import shutil
import subprocess
import sys
import time
import venv
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.cli.running import tlcore
from tests.exports.conftest import Bundle
from tests.exports.odd import odd_files, turned
from tlcore.datasets.image_io import read_image
from tlcore.errors import RunError, StorageError
from tlcore.exports.bundle import IMAGES, LITERT, NEEDED, write_bundle
from tlcore.exports.bundle_check import FORMATS, check_format, read_checks
from tlcore.percentages import percent
from tlcore.settings import PROJECT
from tlcore.storage import remove_leftovers
from tlcore.training.provenance import list_versions
from tlcore.training.store import load_run
from tlcore.training.transfer_model import load_run_model


def page(bundle: Bundle, paths: list[Path]) -> np.ndarray:
    network = load_run_model(bundle.run, bundle.settings)
    limits = bundle.settings.limits
    return np.stack([network.predict(read_image(path, limits)).probabilities for path in paths])


def said(python: Path | str, folder: Path, name: str, paths: list[Path]) -> np.ndarray:
    """What predict.py answers, started as a person does, where nothing of ours can be found."""
    form = ["--format", name] if name else []
    done = subprocess.run(
        [python, "-I", "predict.py", "--json", *form, *map(str, paths)],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    answers = json.loads(done.stdout)
    return np.array([list(answers[str(path)].values()) for path in paths], np.float32)


def test_every_format_was_compared_and_is_there(bundle: Bundle) -> None:
    assert [each.format for each in bundle.checks] == list(FORMATS)
    for each in bundle.checks:
        form = FORMATS[each.format]
        assert each.included, each.error
        assert each.images == IMAGES
        assert each.max_difference is not None
        assert each.max_difference <= (form.tolerance or 0.5)
        assert (bundle.folder / form.file).exists()
    assert any(each.max_difference for each in bundle.checks)  # it was measured, not assumed
    assert read_checks(bundle.zip) == bundle.checks
    assert [step for step, _, _ in bundle.told] == list(range(7))
    assert {steps for _, steps, _ in bundle.told} == {7}
    work = bundle.settings.work
    assert [path for path in work.iterdir() if not path.name.startswith(".lock")] == []
    assert list(bundle.zip.parent.glob(".*")) == []


def test_the_card_says_what_was_measured_and_the_requirements_are_exact(bundle: Bundle) -> None:
    card = (bundle.folder / "MODEL_CARD.md").read_text(encoding="utf-8")
    run = load_run(bundle.run, bundle.settings)
    assert run.info.data_hash in card
    accuracy = percent(run.info.val_accuracy, 1)
    assert f"Validation accuracy {accuracy}, 95% interval" in card
    for each in bundle.checks:
        assert f"{each.max_difference:.1e}" in card
        assert f"{each.same_class} of {IMAGES}" in card
    assert "blocks from conv_dw_12 on" in card
    assert str(bundle.settings.home) not in card
    here = list_versions()
    lines = (bundle.folder / "requirements.txt").read_text(encoding="utf-8").split()
    assert lines == [f"{name}=={here[name]}" for name in NEEDED]
    small = (bundle.folder / "requirements-tflite.txt").read_text(encoding="utf-8").split()
    assert small[-1] == f"ai-edge-litert=={LITERT}"


def test_a_format_that_differs_or_fails_is_named_and_left_out(
    bundle: Bundle, tmp_path: Path
) -> None:
    folder = tmp_path / "bundle"
    shutil.copytree(bundle.folder, folder)
    paths = odd_files(tmp_path)[:3]
    swapped = page(bundle, paths)[:, ::-1]
    apart = check_format(FORMATS["keras"], folder, paths, swapped)
    assert not apart.included
    assert "Its predictions differ by up to" in apart.error
    (folder / "model.tflite").write_bytes(b"no network")
    broken = check_format(FORMATS["tflite"], folder, paths, swapped)
    assert not broken.included
    assert broken.max_difference is None
    assert "It made no prediction" in broken.error


def test_a_run_without_a_network_has_no_bundle(bundle: Bundle, tmp_path: Path) -> None:
    with pytest.raises(RunError, match="Expected the id of a run"):
        write_bundle("none", tmp_path / "a.zip", bundle.settings, lambda *step: None)
    with pytest.raises(StorageError, match="Expected a file in a folder that is there"):
        write_bundle(bundle.run, tmp_path / "no" / "a.zip", bundle.settings, lambda *step: None)


def test_a_full_disk_leaves_no_half_bundle(bundle: Bundle, tmp_path: Path) -> None:
    """A file may have 200 kB here, so the first format cannot be written."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, before[1]))
    try:
        done = tlcore(bundle.settings, "runs", "export", bundle.run, tmp_path / "bundle.zip")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert done.returncode == 1
    assert "bundle.zip could not be made. The file is larger than" in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.full
def test_a_killed_conversion_leaves_no_half_bundle(bundle: Bundle, tmp_path: Path) -> None:
    target, progress = tmp_path / "bundle.zip", tmp_path / "progress.json"
    words = ("runs", "export", bundle.run, target, "--progress-file", progress)
    process = subprocess.Popen(
        [sys.executable, "-m", "tlcore", *map(str, words)],
        cwd=PROJECT,
        env=os.environ | bundle.settings.to_environment(),
    )
    while not progress.exists() or json.loads(progress.read_text())["done"] < 2:
        assert process.poll() is None
        time.sleep(0.05)
    process.kill()
    process.wait()
    assert [path.name for path in tmp_path.iterdir()] == ["progress.json"]
    making = bundle.settings.work
    assert list(making.glob(".import-*")) != []
    remove_leftovers(making)  # as the next one does
    assert list(making.glob(".import-*")) == []


def photographs(folder: Path, photos: list[Path]) -> list[Path]:
    """Real images of several sizes, one of them in all eight ways to hold a camera."""
    chosen = [path for path in photos[::30]]
    with Image.open(photos[3]) as image:
        for turn in range(1, 9):
            path = folder / f"photo-{turn}.jpg"
            path.write_bytes(turned(image.convert("RGB"), turn))
            chosen.append(path)
        small = folder / "small.png"
        image.convert("RGB").resize((71, 40)).save(small)
    return [*chosen, small]


def install(place: Path, requirements: Path) -> Path:
    """A fresh environment with these packages and no others; its Python."""
    venv.create(place, with_pip=True)
    python = place / "bin" / "python"
    done = subprocess.run(
        [python, "-m", "pip", "install", "--quiet", "--no-compile", "-r", requirements],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return python


def borrow_packages(place: Path) -> Path:
    """A fresh environment that finds the packages of this one, and nothing of the project."""
    venv.create(place)
    (site,) = place.glob("lib/python*/site-packages")
    (site / "borrowed.pth").write_text(f"{Path(np.__file__).parents[1]}\n")
    return place / "bin" / "python"


@pytest.mark.parametrize(
    ("requirements", "names"),
    [
        ("", ("",)),  # packages are there already; "" as its card suggests
        pytest.param("", ("keras",), marks=pytest.mark.full),
        pytest.param(
            "requirements.txt",
            ("keras", "saved_model", "tflite", "tflite-int8"),
            marks=pytest.mark.full,  # installs TensorFlow
        ),
        pytest.param(
            "requirements-tflite.txt",
            ("", "tflite", "tflite-int8"),
            marks=pytest.mark.full,
        ),
    ],
)
def test_a_fresh_environment_gives_the_pages_probabilities(
    requirements: str,
    names: tuple[str, ...],
    bundle: Bundle,
    tmp_path: Path,
    photos: list[Path],
) -> None:
    if requirements:
        python = install(tmp_path / "venv", bundle.folder / requirements)
    else:
        python = borrow_packages(tmp_path / "venv")
    elsewhere = tmp_path / "elsewhere"
    shutil.copytree(bundle.folder, elsewhere)
    paths = [*photographs(tmp_path, photos), *odd_files(tmp_path)]
    truth = page(bundle, paths)
    assert np.ptp(truth) > 0.1  # they are not all alike
    for name in names:
        apart = np.abs(said(python, elsewhere, name, paths) - truth).max()
        assert apart < (FORMATS[name or "tflite"].tolerance or 0.2), name
