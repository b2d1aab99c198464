"""A head's ``model.keras``, written and read without TensorFlow.

Keras stores a model as a zip of two JSON files and an HDF5 file, in which each layer's group is
named by its class and its place. The backbone's layers come from the template that its conversion
has stored (see ``models.runtime``); the head's are those of ``build.add_head``.
"""

from __future__ import annotations

import io
import json
import re
import zipfile
from collections.abc import Sequence
from copy import deepcopy
from datetime import datetime
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from tlcore.models.predictions import Floats
from tlcore.training.config import RunConfig

_CONFIG, _METADATA, _WEIGHTS = "config.json", "metadata.json", "model.weights.h5"
_POOLINGS = {"avg": "GlobalAveragePooling2D", "max": "GlobalMaxPooling2D", "flatten": "Flatten"}
Layer = dict[str, Any]  # as Keras describes it in JSON


def write_head_model(
    path: Path, template: Path, config: RunConfig, weights: Sequence[Floats]
) -> None:
    """Write a frozen backbone with a trained head as ``path``, whole or not at all.

    Args:
        path: of the new file.
        template: the backbone with a head of one hidden layer.
        config: of the run.
        weights: of the head's dense layers, first to last: kernel, bias, kernel, bias, …
    """
    with zipfile.ZipFile(template) as archive:
        model = json.loads(archive.read(_CONFIG))
        metadata = json.loads(archive.read(_METADATA))
        buffer = io.BytesIO(archive.read(_WEIGHTS))
    layers: list[Layer] = model["config"]["layers"]
    start = [layer["name"] for layer in layers].index("pooling")
    head = _describe_head({each["name"]: each for each in layers[start:]}, config, weights)
    with h5py.File(buffer, "r+") as file:
        for name in _name_groups(layers)[start:]:
            del file[name]
        dense = iter(weights)
        for layer, name in zip(head, _name_groups([*layers[:start], *head])[start:], strict=True):
            is_dense, rate = layer["class_name"] == "Dense", layer["config"].get("rate")
            values = [next(dense), next(dense)] if is_dense else []
            _write_values(file, f"{name}/vars", layer["name"], values)
            if rate:  # the state of the dropout's random numbers, which have not begun
                state = np.array([layer["config"]["seed"], 0], np.uint32)
                _write_values(file, f"{name}/seed_generator/vars", "seed_generator", [state])
    model["config"]["layers"] = [*layers[:start], *head]
    metadata["date_saved"] = datetime.now().strftime("%Y-%m-%d@%H:%M:%S")
    temporary = path.with_name(f".saving-{path.name}")
    with zipfile.ZipFile(temporary, "w") as archive:
        archive.writestr(_METADATA, json.dumps(metadata))
        archive.writestr(_CONFIG, json.dumps(model))
        archive.writestr(_WEIGHTS, buffer.getbuffer())
    temporary.replace(path)


def read_head(path: Path, template: Path) -> list[tuple[Floats, Floats]] | None:
    """Return kernel and bias of each dense layer of a run's head, first to last.

    None where its backbone is not the template's, to the bit.
    """
    with zipfile.ZipFile(path) as archive, zipfile.ZipFile(template) as expected:
        layers = json.loads(archive.read(_CONFIG))["config"]["layers"]
        body = json.loads(expected.read(_CONFIG))["config"]["layers"]
        start = [layer["name"] for layer in body].index("pooling")
        if [_kind(each) for each in layers[:start]] != [_kind(each) for each in body[:start]]:
            return None
        files = [io.BytesIO(each.read(_WEIGHTS)) for each in (archive, expected)]
    with h5py.File(files[0]) as file, h5py.File(files[1]) as other:
        names = _name_groups(layers)
        for name in names[:start]:
            pairs = zip(_read_values(file, name), _read_values(other, name), strict=True)
            if not all(np.array_equal(one, another) for one, another in pairs):
                return None
        dense = []
        for layer, name in list(zip(layers, names, strict=True))[start:]:
            if layer["class_name"] == "Dense":
                kernel, bias = _read_values(file, name)
                dense.append((kernel, bias))
        return dense


def _describe_head(
    old: dict[str, Layer], config: RunConfig, weights: Sequence[Floats]
) -> list[Layer]:
    """Return the layers of ``build.add_head``, as Keras describes them, from those of another."""
    pooling = deepcopy(old["pooling"])
    pooling["class_name"] = _POOLINGS[config.pooling]
    if config.pooling == "flatten":
        del pooling["config"]["keepdims"]
    head, shape = [pooling], [None, len(weights[0])]

    def add(source: str, name: str, **options: Any) -> None:
        layer = deepcopy(old[source])
        layer["name"] = name
        layer["config"] |= {"name": name} | options
        tensor = layer["inbound_nodes"][0]["args"][0]["config"]
        tensor["shape"], tensor["keras_history"][0] = list(shape), head[-1]["name"]
        if "build_config" in layer:
            layer["build_config"] = {"input_shape": list(shape)}
        head.append(layer)

    add("dropout", "dropout", rate=config.dropout, seed=config.seed)
    for number, width in enumerate(config.hidden_units, 1):
        initial = deepcopy(old["dense_1"]["config"]["kernel_initializer"])
        initial["config"]["seed"] = config.seed + number
        add("dense_1", f"dense_{number}", units=width, kernel_initializer=initial)
        shape = [None, width]
        add("dropout_1", f"dropout_{number}", rate=config.dropout, seed=config.seed + number)
    units = weights[-1].size
    add("logits", "logits", units=units)
    shape = [None, units]
    add("probabilities", "probabilities", activation="sigmoid" if units == 1 else "softmax")
    return head


def _kind(layer: Layer) -> tuple[str, str]:
    return layer["class_name"], layer["name"]


def _name_groups(layers: Sequence[Layer]) -> list[str]:
    """Return the name of each layer's group: "layers/conv2d", "layers/conv2d_1", …"""
    used: dict[str, int] = {}
    names = []
    for layer in layers:
        kind = _snake_case(layer["class_name"])
        used[kind] = used.get(kind, -1) + 1
        names.append(f"layers/{kind}_{used[kind]}" if used[kind] else f"layers/{kind}")
    return names


def _snake_case(name: str) -> str:
    name = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub("([a-z])([A-Z])", r"\1_\2", name).lower()


def _read_values(file: h5py.File, name: str) -> list[Floats]:
    group = file[f"{name}/vars"]
    return [group[str(number)][()] for number in range(len(group))]


def _write_values(file: h5py.File, group: str, name: str, values: Sequence[Any]) -> None:
    created = file.create_group(group)
    created.attrs["name"] = name
    for number, value in enumerate(values):
        created.create_dataset(str(number), data=value)
