"""The feature cache: bit for bit, never half a segment, within its bound, safe for two at once."""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.images import write_patches
from tests.training.test_train_run import SMALL, run
from tlcore.datasets.dataset import Sample
from tlcore.datasets.decoding import hash_samples
from tlcore.datasets.sources import read_folder
from tlcore.settings import PROJECT, Settings
from tlcore.training import batches
from tlcore.training.augmentation import ImageCopy, InputSpec
from tlcore.training.batches import CachedFeatures, build_training_data, list_copies
from tlcore.training.config import RunConfig
from tlcore.training.feature_cache import MISSING, FeatureKey, FeatureStore, bytes_of, evict
from tlcore.training.features import FeatureSource
from tlcore.training.lifecycle import start_run
from tlcore.training.run import Run
from tlcore.training.status import FAILED, FINISHED
from tlcore.training.store import load_run

KEY = FeatureKey("net", "weights", "layer", 32, "crop")
SHAPE = (2, 3)


def ids(*numbers: int) -> list[str]:
    return [hashlib.sha256(str(number).encode()).hexdigest() for number in numbers]


def bytes_in(root: Path) -> int:
    return sum(path.stat().st_size for path in root.glob("*/*"))


def values(*numbers: int) -> np.ndarray:
    return np.stack([np.full(SHAPE, number, np.float32) for number in numbers])


def stored(store: FeatureStore, *numbers: int) -> list[float]:
    """What the store has of each; -1 where it has nothing."""
    rows = store.find(ids(*numbers))
    return [-1 if row == MISSING else store.take(np.array([row]))[0, 0, 0] for row in rows]


def test_values_come_back_bit_for_bit_in_the_order_asked(tmp_path: Path) -> None:
    drawn = np.random.default_rng(0).random((5, *SHAPE), np.float32)
    written = FeatureStore(tmp_path, KEY)
    written.append(ids(1, 2, 3), drawn[:3])
    written.append(ids(4, 5), drawn[3:])
    for store in (written, FeatureStore(tmp_path, KEY)):
        assert store.shape == SHAPE
        rows = store.find(ids(5, 9, 2, 1))
        assert (rows == MISSING).tolist() == [False, True, False, False]
        np.testing.assert_array_equal(store.take(rows[[0, 2, 3]]), drawn[[4, 1, 0]])
        with pytest.raises(ValueError, match="missing one"):
            store.take(rows)


def test_whatever_differs_has_a_folder_and_an_id_of_its_own(settings: Settings) -> None:
    others = {"backbone": "other", "weights": "other", "layer": "other", "size": 64, "fit": "pad"}
    assert len({KEY.name, *(replace(KEY, **{k: v}).name for k, v in others.items())}) == 6
    sample = Sample("a.png", Path("a.png"), ids(1)[0], "a", None)
    flip = InputSpec("net", 32, "crop", ("flip",), 0, settings.limits)
    copies = [(ImageCopy(sample, number), flip) for number in (-1, 0, 1)]
    for spec in (replace(flip, augmentations=("rotate",)), replace(flip, seed=1)):
        copies.append((ImageCopy(sample, 0), spec))
    assert len({copy.id(spec) for copy, spec in copies}) == len(copies)


WRITER = """
import hashlib, sys
from pathlib import Path
import numpy as np
from tlcore.training.feature_cache import FeatureKey, FeatureStore
store = FeatureStore(Path(sys.argv[1]), FeatureKey("net", "weights", "layer", 32, "crop"))
print("go", flush=True)
for number in range(int(sys.argv[2]), int(sys.argv[2]) + int(sys.argv[3])):
    id = hashlib.sha256(str(number).encode()).hexdigest()
    store.append([id], np.full((1, 2, 3), number, np.float32))
"""


def writer(folder: Path, first: int, count: int) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-c", WRITER, str(folder), str(first), str(count)]
    return subprocess.Popen(command, cwd=PROJECT, stdout=subprocess.PIPE)


def test_two_processes_fill_one_folder(tmp_path: Path) -> None:
    writers = [writer(tmp_path, first, 40) for first in (0, 20)]  # half of it in common
    for process in writers:
        process.communicate()
        assert process.returncode == 0
    assert stored(FeatureStore(tmp_path, KEY), *range(60)) == list(range(60))


def test_a_killed_writer_leaves_only_whole_segments(tmp_path: Path) -> None:
    process = writer(tmp_path, 0, 100_000)
    assert process.stdout is not None
    process.stdout.readline()
    time.sleep(0.3)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    store = FeatureStore(tmp_path, KEY)
    count = len(list(store.folder.glob("[!.]*.json")))
    assert count > 0
    assert stored(store, *range(count)) == list(range(count))
    left = store.folder / ".half.npy"  # of an earlier kill
    left.touch()
    os.utime(left, (0, 0))
    evict(tmp_path, 2**40)
    assert not left.exists()


def test_the_segments_used_longest_ago_go_first_and_those_in_use_stay(tmp_path: Path) -> None:
    stores = [FeatureStore(tmp_path, replace(KEY, layer=str(number % 2))) for number in range(3)]
    for number, store in enumerate(stores):  # the first and the last share a folder
        store.append(ids(number), values(number))
        for path in store.folder.glob("*"):
            os.utime(path, (1000 + number, 1000 + number))
    reader = FeatureStore(tmp_path, replace(KEY, layer="0"))
    assert stored(reader, 0) == [0]  # it is the newest now
    size = bytes_in(tmp_path)
    evict(tmp_path, size - 1)
    fresh = [FeatureStore(tmp_path, replace(KEY, layer=str(number % 2))) for number in range(3)]
    assert [stored(store, number)[0] for number, store in enumerate(fresh)] == [0, -1, 2]
    evict(tmp_path, 0, reader.segments_in_use)
    assert stored(FeatureStore(tmp_path, replace(KEY, layer="0")), 0, 2) == [0, -1]
    evict(tmp_path, 0)
    assert bytes_in(tmp_path) == 0
    assert stored(reader, 0, 2) == [0, -1]  # what is mapped stays readable


EVICTER = """
import sys
from pathlib import Path
from tlcore.training.feature_cache import evict
print("go", flush=True)
while not Path(sys.argv[2]).exists():
    evict(Path(sys.argv[1]), 0)
"""


def test_segments_are_written_read_and_evicted_at_once(tmp_path: Path) -> None:
    """Two others delete whatever they see; what a store has written it can read all the time."""
    root, stop = tmp_path / "root", tmp_path / "stop"
    command = [sys.executable, "-c", EVICTER, str(root), str(stop)]
    others = [subprocess.Popen(command, cwd=PROJECT, stdout=subprocess.PIPE) for _ in range(2)]
    for other in others:
        assert other.stdout is not None
        other.stdout.readline()
    for number in range(80):
        store = FeatureStore(root, KEY)
        store.append(ids(number), values(number))
        assert stored(store, number) == [number]
        assert stored(FeatureStore(root, KEY), number)[0] in (number, -1)
    stop.touch()
    for other in others:
        other.communicate()
        assert other.returncode == 0


def test_the_cache_stays_within_its_bound_and_the_oldest_go_first(
    settings: Settings, tmp_path: Path
) -> None:
    bounded = replace(settings, cache_bytes=bytes_of((256,), 60))
    for number in range(3):  # of 24 images each: the third does not fit any more
        data = write_patches(tmp_path / str(number), side=40 + number)
        state, _ = run(bounded, RunConfig(str(data), epochs=1, **SMALL))
        assert state == FINISHED
        assert bytes_in(bounded.features) <= bounded.cache_bytes
    text = "".join(path.read_text() for path in bounded.features.glob("*/*.json"))
    first, last = (list(hash_samples(read_folder(tmp_path / name).samples)) for name in "02")
    assert not any(sample.sha256 in text for sample in first)
    assert all(sample.sha256 in text for sample in last)
    before = bytes_in(bounded.features)
    large = write_patches(tmp_path / "large", each=30, side=50)
    state, folder = run(bounded, RunConfig(str(large), epochs=1, **SMALL))
    assert state == FAILED
    assert "Received 90 images and augmented copies" in load_run(folder.name, bounded).info.error
    assert bytes_in(bounded.features) == before  # what does not fit at all evicts nothing


def test_two_runs_at_once_fill_one_cache(settings: Settings, tmp_path: Path) -> None:
    both = replace(settings, runs_at_once=2)
    data = write_patches(tmp_path / "set", each=30)
    started = [start_run(RunConfig(str(data), epochs=2, **SMALL), both) for _ in range(2)]
    for name, process in started:
        assert process.wait(120) == 0
        assert load_run(name, both).info.status == FINISHED
    one, other = (figures(load_run(name, both)) for name, _ in started)
    assert one == other


def _garbage(whole: bytes) -> bytes:
    return b"\xff\xc0garbage" * (len(whole) // 9 + 1)


DAMAGES: dict[str, Callable[[bytes], bytes | None]] = {
    "missing": lambda whole: None,
    "empty": lambda whole: b"",
    "cut short": lambda whole: whole[: len(whole) // 2 + 1],
    "garbage": lambda whole: _garbage(whole)[: len(whole)],
    "garbage in one place": lambda whole: whole[:500] + _garbage(whole)[:40] + whole[540:],
    "NaN": lambda whole: whole[:128] + np.full(len(whole) // 4 - 32, np.nan, "f4").tobytes(),
    "brackets": lambda whole: b"[" * 200_000,
    "another shape": lambda whole: whole.replace(b"256", b"128"),
}
CASES = [(".npy", damage) for damage in DAMAGES] + [
    (".json", damage) for damage in ("missing", "empty", "garbage", "brackets", "another shape")
]


def damage_segment(root: Path, suffix: str, damage: str) -> None:
    [path] = root.glob(f"*/*{suffix}")
    content = DAMAGES[damage](path.read_bytes())
    path.unlink() if content is None else path.write_bytes(content)


@pytest.mark.parametrize(("suffix", "damage"), CASES)
def test_a_damaged_segment_is_logged_deleted_and_written_again(
    suffix: str, damage: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    drawn = np.random.default_rng(0).random((5, 256), np.float32)
    FeatureStore(tmp_path, KEY).append(ids(*range(5)), drawn)
    damage_segment(tmp_path, suffix, damage)
    store = FeatureStore(tmp_path, KEY)
    assert (store.find(ids(*range(5))) == MISSING).all()
    assert ("was damaged" in caplog.text) == ((suffix, damage) != (".json", "missing"))
    assert not list(store.folder.glob("*.json"))
    store.append(ids(*range(5)), drawn)
    again = FeatureStore(tmp_path, KEY)
    np.testing.assert_array_equal(again.take(again.find(ids(*range(5)))), drawn)


@pytest.fixture(scope="module")
def warm(tmp_path_factory: pytest.TempPathFactory) -> tuple[Settings, RunConfig, Run]:
    """A home with a cache, and the run that filled it."""
    home = tmp_path_factory.mktemp("warm")
    settings = Settings(home=home / "home", keras_home=home)
    config = RunConfig(str(write_patches(home / "set", classes=2)), epochs=2, **SMALL)
    _, folder = run(settings, config)
    return settings, config, load_run(folder.name, settings)


def figures(run: Run) -> list[tuple[float, ...]]:
    return [(e.loss, e.accuracy, e.val_loss, e.val_accuracy) for e in run.history]


@pytest.mark.parametrize("damage", ["NaN", pytest.param("cut short", marks=pytest.mark.full)])
def test_a_damaged_segment_is_computed_again(
    damage: str, warm: tuple[Settings, RunConfig, Run], tmp_path: Path
) -> None:
    """The figures are those of the first run, bit for bit."""
    source, config, first = warm
    settings = replace(source, home=tmp_path / "home")
    shutil.copytree(source.features, settings.features)
    damage_segment(settings.features, ".npy", damage)
    state, folder = run(settings, config)
    assert state == FINISHED
    assert figures(load_run(folder.name, settings)) == figures(first)


def test_features_too_large_for_memory_stay_on_disk_and_are_the_same(
    warm: tuple[Settings, RunConfig, Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    settings, config, first = warm
    monkeypatch.setattr(batches, "RESIDENT", 1000)
    _, folder = run(settings, config)
    assert figures(load_run(folder.name, settings)) == figures(first)


@pytest.mark.parametrize("gone", [pytest.param("deleted", marks=pytest.mark.full), "torn"])
def test_an_image_whose_copies_cannot_be_made_is_left_out(
    gone: str, settings: Settings, tmp_path: Path
) -> None:
    """The features of the image itself are in the cache; only its copies need the file."""
    data = read_folder(write_patches(tmp_path / "set", classes=2, each=4))
    samples = tuple(hash_samples(data.samples))
    config = RunConfig("set", **SMALL)
    layers = ["pooling-avg"]
    named: list[str] = []
    for copies in (0, 2):
        recipe = replace(config, augmented_copies=copies, augmentations=("rotate",))
        source = FeatureSource(recipe, 2, settings)
        missing = source.missing(layers, list_copies(recipe, samples, ()))
        source.compute(layers, missing, skipped=lambda file, _: named.append(file))
        train = build_training_data(source, samples, ("blue", "green"))
        if not copies:
            assert len(train) == len(samples)
            bad = samples[2].path
            bad.unlink() if gone == "deleted" else bad.write_bytes(b"\x89PNG torn")
    assert set(named) == {samples[2].file}
    assert len(train) == len(samples) - 1
    assert isinstance(train.source, CachedFeatures)
    assert (train.source.rows >= 0).all()
    shown = np.concatenate(list(train.source.batches(np.arange(len(train)), 4, 0)))
    assert len(shown) == len(train)
