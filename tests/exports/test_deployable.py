"""Preprocessing inside the graph equals Keras' own before it, for all ways that backbones have."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

from tlcore.exports import bundle_predict
from tlcore.exports.bundle import build_deployable, write_format
from tlcore.exports.bundle_check import FORMATS
from tlcore.models.catalog import BACKBONES, MODES, preprocess

SIDE = 12
OF_MODE = {row.mode: row.name for row in BACKBONES.values()}


def small(units: int) -> keras.Model:
    """A network in which each colour and place counts in another way."""
    keras.utils.set_random_seed(1)
    inputs = keras.Input((SIDE, SIDE, 3))
    value = keras.layers.Conv2D(8, 3, activation="tanh")(inputs)
    value = keras.layers.Dense(units)(keras.layers.Flatten()(value))
    return keras.Model(
        inputs, keras.layers.Activation("softmax" if units > 1 else "sigmoid")(value)
    )


def pixels() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (5, SIDE, SIDE, 3), dtype=np.uint8)


def expected(trained: keras.Model, mode: str) -> np.ndarray:
    answer = np.asarray(trained(preprocess(pixels(), OF_MODE[mode])))
    return np.hstack([1 - answer, answer]) if answer.shape[1] == 1 else answer


@pytest.mark.parametrize("units", [1, 3])
@pytest.mark.parametrize("mode", MODES)
def test_bytes_in_probabilities_out(mode: str, units: int) -> None:
    trained = small(units)
    model = build_deployable(trained, mode)
    assert model.input.dtype == "uint8"
    answers = np.asarray(model(pixels()))
    np.testing.assert_allclose(answers, expected(trained, mode), atol=2e-6)
    np.testing.assert_allclose(answers.sum(axis=1), 1, atol=1e-6)
    assert np.ptp(answers) > 0.05  # it says something


@pytest.mark.parametrize("mode", MODES)
def test_plain_keras_loads_it_in_safe_mode(mode: str, tmp_path: Path) -> None:
    model = build_deployable(small(1), mode)
    write_format("keras", model, tmp_path)
    file = tmp_path / FORMATS["keras"].file
    loaded = keras.models.load_model(file, compile=False, safe_mode=True)
    np.testing.assert_array_equal(np.asarray(loaded(pixels())), np.asarray(model(pixels())))


def test_a_reversal_of_colours_survives_every_format(tmp_path: Path) -> None:
    """Keras has no layer for it, so it is the one operation among the layers."""
    trained = small(3)
    model = build_deployable(trained, "caffe")
    for name in FORMATS:
        write_format(name, model, tmp_path)
    np.save(tmp_path / "pixels.npy", pixels())
    code = (
        "import sys, numpy as np, pathlib, importlib.util as u\n"
        f"place = {bundle_predict.__file__!r}\n"
        "spec = u.spec_from_file_location('p', place); p = u.module_from_spec(spec)\n"
        "spec.loader.exec_module(p)\n"
        "for name, (file, load, _) in p.FORMATS.items():\n"
        "    answers = load(pathlib.Path(file))(np.load('pixels.npy'))\n"
        "    np.save(name + '.npy', answers)\n"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-c", code],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    for name, form in FORMATS.items():
        apart = np.abs(np.load(tmp_path / f"{name}.npy") - expected(trained, "caffe")).max()
        assert apart < (form.tolerance or 0.1), name
