"""What runs leave in the feature cache: within its bound, right, and for two at once."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.pictures import write_patches
from tests.training.test_train import SMALL, run
from tlcore.datasets.folder import read_folder
from tlcore.settings import Settings
from tlcore.training.cache.keys import ROW_ID
from tlcore.training.cache.room import bytes_in
from tlcore.training.config import RunConfig
from tlcore.training.inputs import Asked, Stored, stored_requests, train_part
from tlcore.training.launcher import start_run
from tlcore.training.outcome import FAILED, FINISHED
from tlcore.training.pictures import hashed
from tlcore.training.store import load_run
from tlcore.training.supply import Supply

PICTURE = 256 * 4 + ROW_ID  # bytes of one picture's pooled features


def test_one_shelf_stays_within_the_bound_and_the_oldest_go_first(
    settings: Settings, tmp_path: Path
) -> None:
    bounded = replace(settings, cache_bytes=60 * PICTURE)
    for number in range(4):  # of 24 pictures each: the third does not fit any more
        data = write_patches(tmp_path / str(number), side=40 + number)
        state, folder = run(bounded, RunConfig(str(data), epochs=1, **SMALL))
        assert state == FINISHED
        assert bytes_in(bounded.features) <= bounded.cache_bytes
        assert load_run(folder.name, bounded).skipped == ()
    ids = b"".join(path.read_bytes() for path in bounded.features.glob("*/ids"))
    here = [
        sum(bytes.fromhex(s.sha256) in ids for s in hashed(read_folder(tmp_path / n).samples))
        for n in "0123"
    ]
    assert here[0] == 0
    assert here[3] == 24


def test_what_does_not_fit_at_all_is_refused_and_pushes_nothing_out(
    settings: Settings, tmp_path: Path
) -> None:
    bounded = replace(settings, cache_bytes=40 * PICTURE)
    small, large = write_patches(tmp_path / "a"), write_patches(tmp_path / "b", each=20, side=50)
    run(bounded, RunConfig(str(small), epochs=1, **SMALL))
    before = bytes_in(bounded.features)
    state, folder = run(bounded, RunConfig(str(large), epochs=1, **SMALL))
    assert state == FAILED
    assert "Received 60 pictures and views" in load_run(folder.name, bounded).info.error
    assert bytes_in(bounded.features) == before


def test_two_runs_at_once_fill_one_cache(settings: Settings, tmp_path: Path) -> None:
    both = replace(settings, runs_at_once=2)
    data = write_patches(tmp_path / "set", each=30)
    started: list[tuple[str, subprocess.Popen[bytes]]] = [
        start_run(RunConfig(str(data), epochs=2, **SMALL), both) for _ in range(2)
    ]
    for name, process in started:
        assert process.wait(120) == 0
        assert load_run(name, both).info.state == FINISHED
    one, other = (
        [(e.loss, e.val_loss) for e in load_run(name, both).history] for name, _ in started
    )
    assert one == other
    (ids,) = both.features.glob("*/ids")
    found = ids.read_bytes()
    assert len({found[at : at + ROW_ID] for at in range(0, len(found), ROW_ID)}) == 90
    assert len(found) == 90 * ROW_ID


@pytest.mark.parametrize("gone", ["deleted", "torn"])
def test_a_picture_whose_view_cannot_be_made_is_left_out(
    gone: str, settings: Settings, tmp_path: Path
) -> None:
    """Its plain value is kept from an earlier run, so that only the view needs the file."""
    samples = hashed(read_folder(write_patches(tmp_path / "set", classes=2, each=4)).samples)
    config = RunConfig("set", **SMALL)
    layers = ["pooling-avg"]
    named: list[str] = []
    for views in (0, 2):
        wanted = replace(config, views=views, augment=("rotate",))
        supply = Supply(wanted, 2, settings)
        missing = supply.missing(layers, stored_requests(wanted, samples, ()))
        supply.compute(
            layers, missing, done=lambda _: None, skipped=lambda file, _: named.append(file)
        )
        asked = Asked(layers[0], "head", ("blue", "green"), 1, 0, lambda: False)
        part = train_part(supply, samples, asked)
        if not views:
            assert len(part) == len(samples)
            supply.close()
            bad = samples[2]
            bad.path.unlink() if gone == "deleted" else bad.path.write_bytes(b"\x89PNG torn")
    assert set(named) == {samples[2].file}
    assert len(part) == len(samples) - 1
    assert isinstance(part.source, Stored)
    assert (part.source.rows >= 0).all()
    shown = np.concatenate(list(part.source.batches(np.arange(len(part)), 4, 0)))
    assert len(shown) == len(part)
    supply.close()
