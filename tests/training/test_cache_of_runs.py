"""What runs leave in the feature cache: within its bound, right, and for two at once."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.images import write_patches
from tests.training.test_train import SMALL, run
from tlcore.datasets.sources import read_folder
from tlcore.settings import Settings
from tlcore.training.augmentation import hash_samples
from tlcore.training.batches import CachedFeatures, StageSpec, build_training_data, list_copies
from tlcore.training.config import RunConfig
from tlcore.training.feature_cache import ENTRY, bytes_in
from tlcore.training.feature_keys import ROW_ID
from tlcore.training.features import FeatureSource
from tlcore.training.lifecycle import start_run
from tlcore.training.run import Run
from tlcore.training.status import FAILED, FINISHED
from tlcore.training.store import load_run

IMAGE = 256 * 4 + ENTRY  # bytes of one image's pooled features


def test_one_shelf_stays_within_the_bound_and_the_oldest_go_first(
    settings: Settings, tmp_path: Path
) -> None:
    bounded = replace(settings, cache_bytes=60 * IMAGE)
    for number in range(4):  # of 24 images each: the third does not fit any more
        data = write_patches(tmp_path / str(number), side=40 + number)
        state, folder = run(bounded, RunConfig(str(data), epochs=1, **SMALL))
        assert state == FINISHED
        assert bytes_in(bounded.features) <= bounded.cache_bytes
        assert load_run(folder.name, bounded).skipped == ()
    ids = b"".join(path.read_bytes() for path in bounded.features.glob("*/ids"))
    here = [
        sum(bytes.fromhex(s.sha256) in ids for s in hash_samples(read_folder(tmp_path / n).samples))
        for n in "0123"
    ]
    assert here[0] == 0
    assert here[3] == 24


def test_what_does_not_fit_at_all_is_refused_and_pushes_nothing_out(
    settings: Settings, tmp_path: Path
) -> None:
    bounded = replace(settings, cache_bytes=40 * IMAGE)
    small, large = write_patches(tmp_path / "a"), write_patches(tmp_path / "b", each=20, side=50)
    run(bounded, RunConfig(str(small), epochs=1, **SMALL))
    before = bytes_in(bounded.features)
    state, folder = run(bounded, RunConfig(str(large), epochs=1, **SMALL))
    assert state == FAILED
    assert "Received 60 images and views" in load_run(folder.name, bounded).info.error
    assert bytes_in(bounded.features) == before


def test_two_runs_at_once_fill_one_cache(settings: Settings, tmp_path: Path) -> None:
    both = replace(settings, runs_at_once=2)
    data = write_patches(tmp_path / "set", each=30)
    started: list[tuple[str, subprocess.Popen[bytes]]] = [
        start_run(RunConfig(str(data), epochs=2, **SMALL), both) for _ in range(2)
    ]
    for name, process in started:
        assert process.wait(120) == 0
        assert load_run(name, both).info.status == FINISHED
    one, other = (
        [(e.loss, e.val_loss) for e in load_run(name, both).history] for name, _ in started
    )
    assert one == other
    (ids,) = both.features.glob("*/ids")
    found = ids.read_bytes()
    assert len({found[at : at + ROW_ID] for at in range(0, len(found), ENTRY)}) == 90
    assert len(found) == 90 * ENTRY


def _garbage(whole: bytes) -> bytes:
    return b"\xff\xc0garbage" * (len(whole) // 9 + 1)


DAMAGES: dict[str, Callable[[bytes], bytes | None]] = {
    "missing": lambda whole: None,
    "empty": lambda whole: b"",
    "cut short": lambda whole: whole[: len(whole) // 2 + 1],
    "garbage": lambda whole: _garbage(whole)[: len(whole)],
    "garbage in one place": lambda whole: whole[:500] + _garbage(whole)[:40] + whole[540:],
    "NaN": lambda whole: np.full(len(whole) // 4, np.nan, np.float32).tobytes(),
    "longer": lambda whole: whole + _garbage(whole),
    "brackets": lambda whole: b"[" * 200_000,
}


CASES = {  # the damage of each file; of ids, only what is lost with them can be told
    "values": (*DAMAGES,),
    "ids": ("missing", "cut short", "garbage"),
    "key.json": ("missing", "empty", "garbage", "brackets"),
}


@pytest.mark.parametrize(
    ("name", "damage"), [(name, damage) for name, damages in CASES.items() for damage in damages]
)
def test_a_cache_that_is_not_whole_is_computed_again(
    name: str,
    damage: str,
    warm: tuple[Settings, RunConfig, Run],
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The figures are those of the first run, bit for bit, and whatever was wrong is over."""
    source, config, first = warm
    settings = replace(source, home=tmp_path / "home")
    shutil.copytree(source.features, settings.features)
    [path] = settings.features.glob(f"*/{name}")
    content = DAMAGES[damage](path.read_bytes())
    path.unlink() if content is None else path.write_bytes(content)
    says = name != "ids" and (name, damage) != ("values", "longer")
    for again in (False, True)[: 2 if damage == "NaN" else 1]:
        caplog.clear()
        state, folder = run(settings, config)
        found = load_run(folder.name, settings)
        assert (state, found.info.error) == (FINISHED, "")
        assert figures(found) == figures(first)
        if name != "ids":
            assert ("was damaged" in caplog.text) == (says and not again)


def test_a_cache_of_another_shape_is_computed_again(
    warm: tuple[Settings, RunConfig, Run], tmp_path: Path
) -> None:
    source, config, first = warm
    settings = replace(source, home=tmp_path / "home")
    shutil.copytree(source.features, settings.features)
    [path] = settings.features.glob("*/key.json")
    path.write_text(path.read_text().replace("256", "128"))
    _, folder = run(settings, config)
    assert figures(load_run(folder.name, settings)) == figures(first)


@pytest.fixture(scope="module")
def warm(tmp_path_factory: pytest.TempPathFactory) -> tuple[Settings, RunConfig, Run]:
    """A home with a cache, and the run that filled it."""
    home = tmp_path_factory.mktemp("warm")
    settings = Settings(home=home / "home", keras_home=home)
    config = RunConfig(str(write_patches(home / "set", classes=2)), epochs=2, **SMALL)
    _, folder = run(settings, config)
    return settings, config, load_run(folder.name, settings)


def figures(found: Run) -> list[tuple[float, ...]]:
    return [(e.loss, e.accuracy, e.val_loss, e.val_accuracy) for e in found.history]


@pytest.mark.parametrize("gone", ["deleted", "torn"])
def test_a_image_whose_view_cannot_be_made_is_left_out(
    gone: str, settings: Settings, tmp_path: Path
) -> None:
    """Its plain value is kept from an earlier run, so that only the view needs the file."""
    samples = hash_samples(read_folder(write_patches(tmp_path / "set", classes=2, each=4)).samples)
    config = RunConfig("set", **SMALL)
    layers = ["pooling-avg"]
    named: list[str] = []
    for views in (0, 2):
        wanted = replace(config, augmented_copies=views, augmentations=("rotate",))
        supply = FeatureSource(wanted, 2, settings)
        missing = supply.missing(layers, list_copies(wanted, samples, ()))
        supply.compute(
            layers, missing, done=lambda _: None, skipped=lambda file, _: named.append(file)
        )
        asked = StageSpec(layers[0], "head", ("blue", "green"), 1, 0, lambda: False)
        part = build_training_data(supply, samples, asked)
        if not views:
            assert len(part) == len(samples)
            supply.close()
            bad = samples[2]
            bad.path.unlink() if gone == "deleted" else bad.path.write_bytes(b"\x89PNG torn")
    assert set(named) == {samples[2].file}
    assert len(part) == len(samples) - 1
    assert isinstance(part.source, CachedFeatures)
    assert (part.source.rows >= 0).all()
    shown = np.concatenate(list(part.source.batches(np.arange(len(part)), 4, 0)))
    assert len(shown) == len(part)
    supply.close()
