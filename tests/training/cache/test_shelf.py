"""The feature cache: found again, never half, bounded, and safe for two at once."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from tlcore.settings import PROJECT
from tlcore.training.feature_cache import ENTRY, MISSING, FeatureStore, make_room, shape_of, size_of
from tlcore.training.feature_keys import ROW_ID, FeatureKey, row_id

KEY = FeatureKey("net", "weights", "layer", 32, "crop")
SHAPE = (2, 3)


def ids(*numbers: int) -> list[bytes]:
    return [hashlib.sha256(str(number).encode()).digest() for number in numbers]


def values(*numbers: int) -> np.ndarray:
    return np.stack([np.full(SHAPE, number, np.float32) for number in numbers])


def test_values_come_back_bit_for_bit_in_the_order_asked(tmp_path: Path) -> None:
    drawn = np.random.default_rng(0).random((3, *SHAPE), np.float32)
    FeatureStore(tmp_path, KEY, SHAPE).append(ids(1, 2, 3), drawn)
    again = FeatureStore(tmp_path, KEY, SHAPE)
    assert again.find(ids(9, 3, 1)).tolist() == [MISSING, 2, 0]
    np.testing.assert_array_equal(again.gather(np.array([2, 0])), drawn[[2, 0]])
    assert shape_of(tmp_path, KEY) == SHAPE


def test_a_value_that_is_there_stays(tmp_path: Path) -> None:
    shelf = FeatureStore(tmp_path, KEY, SHAPE)
    shelf.append(ids(1, 2), values(1, 2))
    shelf.append(ids(2, 3), values(7, 3))
    assert shelf.gather(shelf.find(ids(1, 2, 3)))[:, 0, 0].tolist() == [1, 2, 3]


@pytest.mark.parametrize("field", ["backbone", "weights", "layer", "size", "fit"])
def test_whatever_differs_has_a_shelf_of_its_own(field: str, tmp_path: Path) -> None:
    import dataclasses

    other = dataclasses.replace(KEY, **{field: 64 if field == "size" else "other"})
    FeatureStore(tmp_path, KEY, SHAPE).append(ids(1), values(1))
    assert FeatureStore(tmp_path, other, SHAPE).find(ids(1)).tolist() == [MISSING]


def test_a_view_is_another_row() -> None:
    sha = hashlib.sha256(b"image").hexdigest()
    assert len({row_id(sha, ""), row_id(sha, "a"), row_id(sha, "b")}) == 3
    assert len(row_id(sha, "a")) == ROW_ID


@pytest.mark.parametrize("torn", [b"", b"half an id"])
def test_what_a_crash_leaves_is_not_found_and_is_written_over(tmp_path: Path, torn: bytes) -> None:
    shelf = FeatureStore(tmp_path, KEY, SHAPE)
    shelf.append(ids(1), values(1))
    with (shelf.folder / "values").open("ab") as file:
        file.write(b"\x07" * 30)  # a row and a bit, without an id
    with (shelf.folder / "ids").open("ab") as file:
        file.write(torn)
    again = FeatureStore(tmp_path, KEY, SHAPE)
    assert len(again) == 1
    again.append(ids(2), values(2))
    assert FeatureStore(tmp_path, KEY, SHAPE).gather(np.array([0, 1]))[:, 0, 0].tolist() == [1, 2]


WRITER = """
import sys, numpy as np
from pathlib import Path
from tests.training.cache.test_shelf import KEY, SHAPE, ids, values
from tlcore.training.feature_cache import Shelf
shelf, first = Shelf(Path(sys.argv[1]), KEY, SHAPE), int(sys.argv[2])
print("go", flush=True)
for number in range(first, first + int(sys.argv[3])):
    shelf.append(ids(number), values(number))
"""


def writer(folder: Path, first: int, count: int) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-c", WRITER, str(folder), str(first), str(count)]
    return subprocess.Popen(command, cwd=PROJECT, stdout=subprocess.PIPE)


def test_two_processes_fill_one_shelf(tmp_path: Path) -> None:
    writers = [writer(tmp_path, first, 40) for first in (0, 20)]  # half of it in common
    for process in writers:
        process.communicate()
        assert process.returncode == 0
    shelf = FeatureStore(tmp_path, KEY, SHAPE)
    assert len(shelf) == 60
    assert (shelf.folder / "ids").stat().st_size == 60 * ENTRY  # none of them twice
    assert shelf.gather(shelf.find(ids(*range(60))))[:, 0, 0].tolist() == list(range(60))


def test_a_killed_writer_leaves_only_whole_values(tmp_path: Path) -> None:
    process = writer(tmp_path, 0, 100_000)
    assert process.stdout is not None
    process.stdout.readline()
    time.sleep(0.3)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    shelf = FeatureStore(tmp_path, KEY, SHAPE)
    count = len(shelf)
    assert count > 0
    assert shelf.gather(shelf.find(ids(*range(count))))[:, 0, 0].tolist() == list(range(count))
    shelf.append(ids(-1), values(-1))
    assert shelf.gather(shelf.find(ids(-1)))[0, 0, 0] == -1


def test_the_oldest_shelves_go_first_and_open_ones_stay(tmp_path: Path) -> None:
    shelves = [
        FeatureStore(tmp_path, FeatureKey("net", str(number), "l", 1, "crop"), SHAPE)
        for number in range(3)
    ]
    for age, shelf in enumerate(shelves):
        shelf.append(ids(1), values(1))
        os.utime(shelf.folder / "in-use", (1000 + age, 1000 + age))
    shelves[0].close()
    shelves[1].close()
    make_room(tmp_path, size_of(shelves[2].folder) + size_of(shelves[1].folder))
    assert [shelf.folder.exists() for shelf in shelves] == [False, True, True]
    make_room(tmp_path, 0)
    assert [shelf.folder.exists() for shelf in shelves] == [False, False, True]


def test_the_oldest_values_of_a_shelf_go_and_those_needed_stay(tmp_path: Path) -> None:
    shelf = FeatureStore(tmp_path, KEY, SHAPE)
    shelf.append(ids(*range(10)), values(*range(10)))
    before = size_of(shelf.folder)
    assert shelf.drop(3 * shelf.bytes_of(1), set(ids(0, 2))) == shelf.bytes_of(3)
    assert before - size_of(shelf.folder) == shelf.bytes_of(3)
    assert shelf.find(ids(1, 3, 4)).tolist() == [MISSING] * 3
    left = [0, 2, *range(5, 10)]
    for again in (shelf, FeatureStore(tmp_path, KEY, SHAPE)):
        assert again.gather(again.find(ids(*left)))[:, 0, 0].tolist() == left
    shelf.append(ids(3), values(3))
    assert shelf.gather(shelf.find(ids(9, 3)))[:, 0, 0].tolist() == [9, 3]
    # More than may go: all but what is needed.
    again.close()
    assert shelf.drop(10**6, set(ids(9))) == shelf.bytes_of(7)
    assert len(FeatureStore(tmp_path, KEY, SHAPE)) == 1


def test_nothing_goes_from_under_somebody_who_reads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tlcore.training.feature_cache.PATIENCE", 0.0)
    shelf, other = FeatureStore(tmp_path, KEY, SHAPE), FeatureStore(tmp_path, KEY, SHAPE)
    shelf.append(ids(1), values(1))
    assert shelf.drop(1, ()) == 0
    other.close()
    assert shelf.drop(1, ()) > 0
    make_room(tmp_path, 0)
    assert shelf.folder.exists()  # still ours


@pytest.mark.parametrize("ends", [1, 2, 3])
def test_what_a_crash_leaves_of_a_shelf_that_is_made_smaller_is_right(
    ends: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process ends before its first, second or third write."""
    from tlcore.training import feature_cache as module

    shelf = FeatureStore(tmp_path, KEY, SHAPE)
    shelf.append(ids(*range(10)), values(*range(10)))
    left, write = ends, module._write

    def torn(*args: object, **options: object) -> None:
        nonlocal left
        left -= 1
        if left == 0:
            raise KeyboardInterrupt
        write(*args, **options)

    monkeypatch.setattr(module, "_write", torn)
    with pytest.raises(KeyboardInterrupt):
        shelf.drop(3 * shelf.bytes_of(1), ())
    monkeypatch.undo()
    again = FeatureStore(tmp_path, KEY, SHAPE)
    here = [number for number in range(10) if again.find(ids(number))[0] != MISSING]
    assert again.gather(again.find(ids(*here)))[:, 0, 0].tolist() == here
    again.append(ids(3, 11), values(3, 11))
    assert again.gather(again.find(ids(3, 11)))[:, 0, 0].tolist() == [3, 11]


def test_a_row_that_is_missing_is_nobody_elses(tmp_path: Path) -> None:
    shelf = FeatureStore(tmp_path, KEY, SHAPE)
    shelf.append(ids(1, 2), values(1, 2))
    with pytest.raises(ValueError, match="missing one"):
        shelf.gather(shelf.find(ids(1, 3)))


CLEARER = """
import sys
from pathlib import Path
from tlcore.training.feature_cache import make_room
print("go", flush=True)
while not Path(sys.argv[2]).exists():
    make_room(Path(sys.argv[1]), 0)
"""


def test_shelves_are_opened_and_cleared_away_at_once(tmp_path: Path) -> None:
    """Two others clear whatever nobody holds; what is open is there and right all the time."""
    root, stop = tmp_path / "root", tmp_path / "stop"
    command = [sys.executable, "-c", CLEARER, str(root), str(stop)]
    others = [subprocess.Popen(command, cwd=PROJECT, stdout=subprocess.PIPE) for _ in range(2)]
    for other in others:
        assert other.stdout is not None
        other.stdout.readline()
    for number in range(300):
        shelf = FeatureStore(root, KEY, SHAPE)
        shelf.append(ids(number), values(number))
        assert shelf.gather(shelf.find(ids(number)))[0, 0, 0] == number
        assert shape_of(root, KEY) == SHAPE
        shelf.close()
    stop.touch()
    for other in others:
        other.communicate()
        assert other.returncode == 0
