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
from tlcore.training.cost import STARTED, Cost, estimate_cost, estimate_memory
from tlcore.training.feature_cache import bytes_of
from tlcore.training.transfer_model import TransferModel

Parts = tuple[list[Sample], list[Sample]]


@pytest.fixture
def parts(settings: Settings, tmp_path: Path) -> Parts:
    data = write_patches(tmp_path / "set", classes=2)
    return split_samples(open_dataset(str(data), settings))


def cost(settings: Settings, parts: Parts, **options: Any) -> Cost:
    return estimate_cost(RunConfig("set", **(SMALL | options)), *parts, settings)


def test_the_total_is_the_sum_of_all_that_a_run_does(settings: Settings, parts: Parts) -> None:
    short = cost(settings, parts, epochs=1)
    assert (short.missing, short.fine_tune_seconds) == (16, 0)
    assert short.total_seconds > short.feature_seconds > 0
    assert short.disk == bytes_of((256,), 16)
    free = cost(settings, parts, epochs=50, fine_tune_epochs=50, on_the_fly_augmentation=True)
    epochs = 50 * free.head_seconds + 50 * free.fine_tune_seconds
    assert free.total_seconds == pytest.approx(STARTED + free.feature_seconds + epochs)
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
    for step in ("_time_image", "_time_second"):  # it could not fit either
        monkeypatch.setattr(module, step, lambda *_: pytest.fail("tried"))
    options = {"unfreeze_from": changed.get("unfreeze_from", ""), "fine_tune_epochs": 1}
    with pytest.raises(error, match=said):
        cost(settings, (parts[0], changed.get("val", parts[1])), epochs=1, **options)


def test_a_batch_is_no_larger_than_all_there_is(settings: Settings, parts: Parts) -> None:
    options = {"epochs": 1, "fine_tune_epochs": 1}
    all_at_once = cost(settings, parts, batch_size=len(parts[0]), **options)
    assert cost(settings, parts, batch_size=1024, **options).memory == all_at_once.memory


def test_the_memory_grows_with_what_is_held_at_once(settings: Settings) -> None:
    config = RunConfig("set", **(SMALL | {"fine_tune_epochs": 1}))
    network = TransferModel(config, 2, settings)
    layers = network.model.layers
    above = layers[1 + [layer.name for layer in layers].index(network.cut) :]
    values = sum(np.prod(layer.output.shape[1:]) for layer in above)
    small, large = (
        estimate_memory(replace(config, batch_size=size), network, [256, 1], 0)
        for size in (512, 1024)
    )
    assert large - small == 2 * 512 * values * 4
    alone = replace(config, fine_tune_epochs=0)
    head = estimate_memory(alone, network, [256, 1], 0)
    assert head < small
    deep = estimate_memory(alone, network, [25_088, 4096, 1], 0)
    assert deep - head >= 4 * 10 * 25_088 * 4096 - 2**20
    assert estimate_memory(alone, network, [256, 1], 1000) - head == 1000
