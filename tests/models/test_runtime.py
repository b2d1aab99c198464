"""Converted networks: equal to Keras, to the bit whatever the batch, and never in the way."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import keras
import numpy as np
import pytest
import tensorflow

from tlcore.datasets.decoding import decode_in_order
from tlcore.errors import BadConfig, StorageError
from tlcore.jobs import FAILED, read_job
from tlcore.models import conversion, runtime
from tlcore.models.build import build_backbone
from tlcore.models.catalog import preprocess
from tlcore.models.predictions import ModelRef
from tlcore.settings import PROJECT, Settings
from tlcore.training.transfer_model import convert_backbone

SMALL = ModelRef("MobileNet-0.25", 64, random=True)
LAYER = "conv_pw_6_relu"
OUTPUTS = (runtime.POOLED, runtime.BOTTLENECK, LAYER, "pooling-max", "pooling-flatten")


@pytest.fixture(scope="module")
def home(converted: Path, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A home in which a small network has been converted, with a layer and without."""
    home = tmp_path_factory.mktemp("runtime")
    settings = Settings(home=home / "home", keras_home=home / "keras", runtime="auto")
    shutil.copytree(converted, settings.networks)
    assert convert_backbone(SMALL, settings, [LAYER]).difference < 1e-5
    return settings


@pytest.fixture
def copied(home: Settings, tmp_path: Path) -> Iterator[Settings]:
    settings = Settings(home=tmp_path, keras_home=tmp_path, runtime="auto")
    os.system(f"cp -r {home.networks} {settings.networks}")
    yield settings


@pytest.fixture
def at_once(home: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """A converter that returns what it has converted before, for tests of what comes of it."""
    content = (opened(home).folder / runtime.TFLITE).read_bytes()
    converter = SimpleNamespace(convert=lambda: content)
    monkeypatch.setattr(
        tensorflow.lite.TFLiteConverter, "from_keras_model", lambda model: converter
    )
    monkeypatch.setattr(conversion, "_compare", lambda model, network: (0.0, 3.0))


def images(count: int) -> np.ndarray:
    pixels = np.random.default_rng(1).integers(0, 256, (count, 64, 64, 3)).astype(np.uint8)
    return preprocess(pixels, SMALL.backbone)


def opened(settings: Settings, *layers: str) -> runtime.Runtime | None:
    return runtime.open_runtime(runtime.backbone_network(SMALL, settings, *layers), settings)


def test_the_values_are_kerass(home: Settings) -> None:
    base, _ = build_backbone(ModelRef("MobileNet-0.25", 64, random=True, top=False), home)
    inputs = images(5)
    network = opened(home, LAYER)
    layer, maps = keras.Model(base.input, [base.get_layer(LAYER).output, base.output])(inputs)
    maps = np.asarray(maps)
    expected = (maps.mean(axis=(1, 2)), maps, layer, maps.max(axis=(1, 2)), maps.reshape(5, -1))
    for name, one, other in zip(OUTPUTS, network.compute(inputs, OUTPUTS), expected, strict=True):
        np.testing.assert_allclose(one, np.asarray(other), atol=1e-5 * np.abs(other).max())
        assert network.shape(name) == one.shape[1:]


def test_features_are_the_same_bits_in_every_batch_order_and_number_of_threads(
    home: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    inputs, found = images(8), set()
    for threads in (1, 2):
        monkeypatch.setattr(runtime, "CPUS", threads)
        for layers in ((), (LAYER,)):  # other outputs beside them
            network = opened(home, *layers)
            fresh = runtime.Runtime(network.folder, network.conversion)
            for size in (1, 8, 3):
                order = np.random.default_rng(size).permutation(8)
                parts = [inputs[order[start : start + size]] for start in range(0, 8, size)]
                values = [fresh.compute(part, [runtime.POOLED])[0] for part in parts]
                found.add(np.concatenate(values)[order.argsort()].tobytes())
            compute = partial(fresh.compute, outputs=[runtime.POOLED], alone=False)
            values = [each[0] for each in decode_in_order(compute, inputs[:, None])]
            found.add(np.concatenate(values).tobytes())
    assert len(found) == 1


def test_one_with_more_outputs_serves_as_well(copied: Settings) -> None:
    small = runtime.backbone_network(SMALL, copied)
    os.system(f"rm -r {copied.networks / small.name}")
    assert opened(copied).conversion.network.outputs[0] == LAYER
    assert opened(copied, "conv_pw_1_relu") is None


@pytest.mark.parametrize("damage", ["cut short", "changed", "json", "template"])
def test_a_damaged_network_is_thrown_away(
    damage: str, copied: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    folder = opened(copied, LAYER).folder
    files = {"json": "conversion.json", "template": runtime.TEMPLATE}
    path = folder / files.get(damage, runtime.TFLITE)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2] + b"x" * (damage == "changed"))
    assert opened(copied, LAYER) is None
    assert not folder.exists()
    assert "was damaged" in caplog.text


def test_what_differs_or_is_slower_or_off_is_left_to_keras(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, home: Settings, at_once: None
) -> None:
    settings = Settings(home=settings.home, keras_home=settings.keras_home, runtime="auto")
    monkeypatch.setattr(conversion, "_compare", lambda model, network: (2e-4, 3.0))
    network = runtime.backbone_network(SMALL, settings)
    (settings.networks / network.name).mkdir(parents=True)  # of one that was never finished
    assert "differs by 2.0e-04" in convert_backbone(SMALL, settings).description
    assert opened(settings) is None
    assert not runtime.start_conversion(network, settings)  # it is known
    monkeypatch.setattr(conversion, "_compare", lambda model, network: (0.0, 0.8))
    monkeypatch.setattr(conversion, "SLOWEST", 1.0)
    assert "0.80 of its speed" in convert_backbone(SMALL, settings).refused
    assert "0.80 of" in runtime.find_conversion(network, settings).refused  # not the earlier one
    monkeypatch.setattr(tensorflow.config, "list_physical_devices", lambda kind: [kind])
    assert (
        "computed by Keras: TensorFlow sees a GPU" in convert_backbone(SMALL, settings).description
    )
    off = Settings(home=home.home, keras_home=home.keras_home, runtime="keras")
    assert opened(off) is None
    for word in ("fast", "litert"):  # the second one is for the process that answers alone
        with pytest.raises(BadConfig, match="TLCORE_RUNTIME to be auto or keras"):
            Settings.from_environment({"TLCORE_RUNTIME": word})


def test_the_longest_unused_makes_room(copied: Settings, at_once: None) -> None:
    reader = opened(copied, LAYER)
    first, second = reader.folder, opened(copied).folder
    os.utime(second / "conversion.json", (1, 1))
    opened(copied)  # used again: the other one is older now
    os.utime(first / "conversion.json", (2, 2))
    size = sum(path.stat().st_size for path in second.iterdir())
    limited = Settings(copied.home, copied.keras_home, runtime="auto", network_bytes=5 * size // 2)
    convert_backbone(ModelRef("MobileNet-0.25", 32, random=True), limited)
    assert not first.exists()
    assert second.exists()
    assert np.isfinite(reader.compute(images(1), [LAYER])[0]).all()  # who has it open goes on


def test_a_full_disk_leaves_nothing_behind(disk: Path) -> None:
    settings = Settings(home=disk / "home", keras_home=disk, runtime="auto")
    (disk / "ballast").write_bytes(bytes(31 * 2**20))
    with pytest.raises(StorageError, match="disk is full"):
        convert_backbone(SMALL, settings)
    assert opened(settings) is None
    assert not list(settings.networks.glob("[!.]*"))


ANOTHER_SERVER = """
from tlcore.models import runtime
from tlcore.models.predictions import ModelRef
from tlcore.settings import Settings
settings = Settings.from_environment()
network = runtime.backbone_network(ModelRef("MobileNet-0.25", 64, random=True), settings)
assert runtime.start_conversion(network, settings)
"""


def kill_converter(folder: Path) -> None:
    os.kill(int((folder / "job.lock").read_text()), signal.SIGKILL)
    while read_job(folder).status != FAILED:
        time.sleep(0.05)


def touch(path: Path, seconds: float) -> None:
    os.utime(path, (time.time() + seconds, time.time() + seconds))


def test_a_killed_converter_is_noticed_and_keras_goes_on(settings: Settings) -> None:
    settings = Settings(home=settings.home, keras_home=settings.keras_home, runtime="auto")
    network = runtime.backbone_network(SMALL, settings)
    assert runtime.start_conversion(network, settings)
    folder = settings.jobs / f"convert-{network.name}"
    process = (folder / "job.lock").read_text()
    environment = {**os.environ, **settings.to_environment()}
    subprocess.run([sys.executable, "-c", ANOTHER_SERVER], cwd=PROJECT, env=environment, check=True)
    while not list(settings.networks.glob(".import-*/*/*")):  # TensorFlow has begun to write
        assert runtime.start_conversion(network, settings)
        time.sleep(0.05)
    assert (folder / "job.lock").read_text() == process  # there was one
    kill_converter(folder)
    assert runtime.wait_for_runtime(network, settings) is None
    assert not runtime.start_conversion(network, settings)  # not again and again
    touch(folder / "job.json", -2 * runtime.RETRY)
    assert runtime.start_conversion(network, settings)
    kill_converter(folder)
    touch(folder / "job.json", 2 * runtime.RETRY)  # of a clock that was set back since
    assert runtime.wait_for_runtime(network, settings) is not None
    assert {path.name for path in settings.networks.iterdir()} == {".lock", network.name}
