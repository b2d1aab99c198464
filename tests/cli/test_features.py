"""``features``: what is drawn and written, and what a comparison with a run refuses."""

from __future__ import annotations

import argparse
import io
import json
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.images import write_patches
from tlcore.activations.render import GAP, TILE
from tlcore.cli import features
from tlcore.errors import TLCoreError
from tlcore.settings import Settings
from tlcore.training.config import RunConfig
from tlcore.training.lifecycle import create_run
from tlcore.training.worker import execute_run

SMALL = ("--backbone", "MobileNet-0.25", "--size", "64")
LAYER = ("--layer", "conv_pw_13")
RECIPE = RunConfig(
    "set", "MobileNet-0.25", 64, "squash", epochs=1, fine_tune_epochs=1, learning_rate=0.01
)


@pytest.fixture(scope="module")
def place(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Settings, Path]:
    """A home with real weights, and an image that is wider than high."""
    folder = tmp_path_factory.mktemp("features")
    image = folder / "wide.png"
    noise = np.random.default_rng(0).integers(0, 255, (40, 64, 3), np.uint8)
    Image.fromarray(noise).save(image)
    return Settings(home=folder / "home", keras_home=shared / "keras"), image


@pytest.fixture(scope="module")
def runs(place: tuple[Settings, Path]) -> tuple[str, str]:
    """A trained run with squashed images, and one that differs in its size, not trained."""
    settings, image = place
    data = write_patches(image.parent / "set", classes=2, each=4)
    made = []
    for recipe, train in ((RECIPE, True), (replace(RECIPE, size=32), False)):
        folder, lock = create_run(replace(recipe, dataset=str(data)), settings)
        if train:
            assert execute_run(folder, settings).status == "finished"
        os.close(lock)
        made.append(folder.name)
    return made[0], made[1]


def asked(settings: Settings, *words: str | Path) -> dict[str, Any]:
    """Run the command in this process: TensorFlow's start is what takes the time of another."""
    parser = argparse.ArgumentParser()
    features.add(parser.add_subparsers())
    args = parser.parse_args(["features", *map(str, words), "--json"])
    out = io.StringIO()
    assert args.run(args, settings, out) == 0
    told: dict[str, Any] = json.loads(out.getvalue())
    return told


def maps(settings: Settings, image: Path, *words: str | Path) -> tuple[dict[str, Any], np.ndarray]:
    npz = image.parent / "maps.npz"
    told = asked(settings, image, *words, "--npz", npz)
    with np.load(npz) as file:
        return told, file["maps"]


def test_a_comparison_takes_what_is_the_runs_own(
    place: tuple[Settings, Path], runs: tuple[str, str]
) -> None:
    """Backbone, size and geometry, not those that are usual: else more would differ."""
    settings, image = place
    told, changed = maps(settings, image, *LAYER, "--compare-run", runs[0])
    _, before = maps(settings, image, *LAYER, *SMALL, "--fit", "squash")
    _, after = maps(settings, image, *LAYER, "--run", runs[0])
    np.testing.assert_array_equal(changed, after - before)
    assert told["largest"] == float(np.abs(changed).max()) > 0
    told, frozen = maps(settings, image, "--layer", "conv_pw_3", "--compare-run", runs[0])
    assert (told["compared_with"], told["largest"]) == (runs[0], 0)
    assert frozen.shape == (16, 16, 32)
    assert not frozen.any()


def drawn(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image.convert("P") if image.mode != "P" else image)


def test_the_scale_is_the_layers_and_a_difference_has_zero_in_the_middle(
    place: tuple[Settings, Path], runs: tuple[str, str]
) -> None:
    """Pixels of the PNG against the NPZ of all channels, by the rule of ``grid.levels``."""
    settings, image = place
    png = image.parent / "maps.png"
    _, whole = maps(settings, image, *LAYER, *SMALL)
    page = ("--channels", "5,2", "--grid", "1x2", "--png", png)
    _, two = maps(settings, image, *LAYER, *SMALL, *page, "--scale", "layer")
    np.testing.assert_array_equal(two, whole[:, :, [5, 2]])
    low, high = whole.min(), whole.max()
    expected = np.floor((two[0, 0] - low) / (high - low) * 255 + 0.5)
    assert np.abs(drawn(png)[0, [0, TILE + GAP]] - expected).max() <= 1

    _, changed = maps(settings, image, *LAYER, "--compare-run", runs[0])
    for scale, reach in (
        ((), np.abs(changed).max()),
        (("--scale", "layer"), np.abs(changed).max()),
        (("--scale", "channel"), np.abs(changed[:, :, [5, 2]]).max(axis=(0, 1))),
    ):
        maps(settings, image, *LAYER, "--compare-run", runs[0], *page, *scale)
        expected = np.floor((changed[0, 0, [5, 2]] / reach + 1) / 2 * 255 + 0.5)
        assert np.abs(drawn(png)[0, [0, TILE + GAP]] - expected).max() <= 1


def refused(run: str, other: str) -> Sequence[tuple[tuple[str, ...], str]]:
    compare = ("--compare-run", run)
    return (
        ((*compare, "--fit", "crop"), "Expected fit squash, that of run"),
        ((*compare, "--size", "32"), "Received 32 from --size"),
        ((*compare, "--backbone", "MobileNet-0.5"), "Received MobileNet-0.5 from --backbone"),
        ((*compare, "--run", other), f"Received 32 from run {other}"),
        ((*compare, "--random-weights"), "Received True from --random-weights"),
        (("--compare-run", "nothing"), "Received 'nothing'"),
        ((*SMALL, "--channels", "5-3,1"), "Expected channels like 0-3,7"),
        ((*SMALL, "--channels", ""), "Expected channels like 0-3,7"),
        ((*SMALL, "--channels", "0,256"), "Expected channels from 0 to 255"),
        ((*SMALL, "--png", "/nowhere/at/all.png"), "Expected a file in a folder that is there"),
        ((*SMALL, "--npz", "/nowhere/at/all.npz"), "Expected a file in a folder that is there"),
        ((*SMALL, "--grid", "0x8"), "Expected 1 to 32 rows"),
    )


def test_what_would_be_wrong_is_refused(
    place: tuple[Settings, Path], runs: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    settings, image = place
    for words, said in refused(*runs):
        with pytest.raises((TLCoreError, SystemExit)) as error:
            asked(settings, image, *LAYER, *words)
        assert said in f"{error.value}{capsys.readouterr().err}", words
    assert sorted(path.name for path in image.parent.glob("*.npz")) == ["maps.npz"]
