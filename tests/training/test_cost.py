"""What a run will cost, said and refused before there is one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.images import write_patches
from tests.training.test_train_run import SMALL
from tlcore.datasets.dataset import Sample
from tlcore.datasets.splits import split_samples
from tlcore.datasets.store import open_dataset
from tlcore.errors import BadConfig, BadDataset, TLCoreError, UnknownName
from tlcore.settings import Settings
from tlcore.training import cost as module
from tlcore.training.config import RunConfig
from tlcore.training.cost import Cost, NetworkSize, estimate_cost, estimate_memory
from tlcore.training.feature_cache import bytes_of

Parts = tuple[list[Sample], list[Sample]]


@pytest.fixture
def parts(settings: Settings, tmp_path: Path) -> Parts:
    data = write_patches(tmp_path / "set", classes=2)
    return split_samples(open_dataset(str(data), settings))


def cost(settings: Settings, parts: Parts, **options: Any) -> Cost:
    return estimate_cost(RunConfig("set", **(SMALL | options)), *parts, settings)


def test_the_total_is_the_sum_of_all_that_a_run_does(settings: Settings, parts: Parts) -> None:
    short = cost(settings, parts, epochs=1)
    assert short.missing == 16
    assert short.total_seconds > short.feature_seconds > 0
    assert short.fine_tune_seconds == 0
    assert short.disk == bytes_of((256,), 16)
    long = cost(settings, parts, epochs=1000)
    assert long.total_seconds > short.total_seconds - short.feature_seconds
    tuned = cost(settings, parts, epochs=1, fine_tune_epochs=100)
    assert tuned.total_seconds > tuned.feature_seconds + 100 * tuned.fine_tune_seconds
    free = cost(settings, parts, epochs=50, fine_tune_epochs=50, on_the_fly_augmentation=True)
    assert free.total_seconds > 50 * free.head_seconds + 50 * free.fine_tune_seconds
    assert min(free.fine_tune_seconds, free.head_seconds) > free.image_seconds > 0


@pytest.mark.parametrize(
    ("changed", "error", "said"),
    [
        ({"cache_bytes": 1000}, BadConfig, "TLCORE_CACHE_BYTES"),
        ({"memory": 2**20}, BadConfig, "of free memory"),
        ({"disk": 10}, BadConfig, "free on the disk"),
        ({"unfreeze_from": "conv_dw_99"}, UnknownName, "conv_dw_99"),
        ({"val": []}, BadDataset, "for validation"),
    ],
)
def test_what_cannot_fit_is_refused(
    changed: dict[str, Any],
    error: type[TLCoreError],
    said: str,
    settings: Settings,
    parts: Parts,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if "cache_bytes" in changed:
        settings = replace(settings, cache_bytes=1000)
    if "memory" in changed:
        monkeypatch.setattr(module, "_available_memory", lambda: changed["memory"])
    if "disk" in changed:
        usage = module.shutil.disk_usage("/")._replace(free=changed["disk"])
        monkeypatch.setattr(module.shutil, "disk_usage", lambda _: usage)
    for step in (
        "_time_image",
        "_time_epoch",
    ):  # it could not fit either
        monkeypatch.setattr(module, step, lambda *_: pytest.fail("tried"))
    options = {"unfreeze_from": changed.get("unfreeze_from", ""), "fine_tune_epochs": 1}
    with pytest.raises(error, match=said):
        cost(settings, (parts[0], changed.get("val", parts[1])), epochs=1, **options)


def test_the_memory_is_that_of_the_run_and_not_of_who_asks(
    settings: Settings, parts: Parts
) -> None:
    first = cost(settings, parts, epochs=1).memory
    ballast = np.ones(2**27, np.uint8)
    assert cost(settings, parts, epochs=1).memory == first
    assert ballast.all()


def test_a_batch_is_no_larger_than_all_there_is(settings: Settings, parts: Parts) -> None:
    options = {"epochs": 1, "fine_tune_epochs": 1}
    all_at_once = cost(settings, parts, batch_size=len(parts[0]), **options)
    assert cost(settings, parts, batch_size=1024, **options).memory == all_at_once.memory


def test_the_memory_grows_with_what_is_held_at_once() -> None:
    vgg = NetworkSize(15_000_000, 3_211_264, 14_000_000, 3_211_264, 30_000_000, 150_528)
    config = RunConfig("set", backbone="VGG16", fine_tune_epochs=1, batch_size=16)
    small, large = (
        estimate_memory(replace(config, batch_size=size), vgg, 512, 1, 0) for size in (16, 64)
    )
    assert large - small == 2 * 48 * 30_000_000 * 4
    assert small > 3 * 2**30  # as it is judged, too, in this network
    head = estimate_memory(replace(config, fine_tune_epochs=0), vgg, 512, 1, 0)
    assert head < small
    deep = estimate_memory(
        replace(config, fine_tune_epochs=0, hidden_units=(4096,)), vgg, 25_088, 1, 0
    )
    assert deep - head >= 4 * 10 * 25_088 * 4096 - 2**20
