"""Frozen networks for LiteRT: ``conversion`` makes them with TensorFlow, here they run without it.

A converted network is a folder below ``Settings.networks``, renamed into place when it is complete:
``network.tflite`` in float32, ``conversion.json`` with what the check has found, and
``model.keras``, the backbone with a small head, from which the models of runs are written. One that
differs from Keras, or is no faster, has the ``conversion.json`` alone. A damaged folder is deleted,
with a line in the log, and made again.

The outputs for an image are the same bits whatever the number of threads. One image after another
is as fast as a batch; of many, several are computed at once by a thread each, which keeps two
processors a third busier than two threads that share one.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import time
import zlib
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from tlcore.datasets.decoding import THREADS
from tlcore.errors import DamagedFile, StorageError
from tlcore.jobs import CANCELLED, FAILED, read_job, start_job
from tlcore.models.catalog import get_backbone
from tlcore.models.predictions import Floats, ModelRef
from tlcore.models.weights import find_weights, hash_network
from tlcore.settings import Settings
from tlcore.storage import discard_folder, file_state, read_json_or

BOTTLENECK, POOLED, LOGITS = "bottleneck", "pooling-avg", "logits"  # outputs that are no layers
RETRY = 600.0  # s until a conversion that failed is tried again
CPUS = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
SHARE = max(1, CPUS // THREADS)  # threads of an image where THREADS are computed at once
TFLITE, TEMPLATE, CONVERSION = "network.tflite", "model.keras", "conversion.json"
_VERSION = 2  # of the folder
_POLL = 0.1  # s
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Network:
    """A frozen network and those of its outputs that are wanted."""

    backbone: str
    size: int  # side of the input, pixels
    weights: str  # ``hash_network``, "random", or the hash of a run's model
    # BOTTLENECK, POOLED and names of layers of the backbone; or LOGITS alone
    outputs: tuple[str, ...] = (BOTTLENECK, POOLED)
    run: str = ""  # the id of the run whose model it is; "" for a backbone

    @property
    def name(self) -> str:
        """The name of its folder: readable first, then a hash of all that it depends on."""
        text = json.dumps([asdict(self), _VERSION, version("tensorflow")], sort_keys=True)
        digest = hashlib.sha256(text.encode()).hexdigest()[:16]
        return f"{self.backbone}-{self.size}-{digest}"

    def covers(self, other: Network) -> bool:
        """Whether it has all outputs of another, and the same weights."""
        return self == replace(other, outputs=self.outputs) and {*self.outputs} >= {*other.outputs}

    @property
    def arguments(self) -> list[str]:
        """The arguments of the command that converts it."""
        if self.run:
            return ["weights", "convert", "--run", self.run]
        layers = [name for name in self.outputs if name not in (BOTTLENECK, POOLED, LOGITS)]
        options = [f"--layer={name}" for name in layers]
        options += ["--random-weights"] * (self.weights == "random")
        options += ["--top"] * (LOGITS in self.outputs)
        return ["weights", "convert", self.backbone, f"--size={self.size}", *options]


class NotConverted(Exception):
    """Keras has to answer; ``networks`` could be converted, so that it need not the next time."""

    def __init__(self, *networks: Network) -> None:
        super().__init__(*networks)
        self.networks = networks


@dataclass(frozen=True)
class Conversion:
    """What the check of a converted network has found."""

    network: Network
    shapes: tuple[tuple[int, ...], ...] = ()  # of the outputs, for one image
    crc32: int = 0  # of network and template; 0 where it does not convert
    difference: float = 0.0  # greatest, of the largest value
    speed: float = 0.0  # seconds of Keras ÷ seconds of LiteRT
    refused: str = ""  # why it is not used; "" where it is

    @property
    def description(self) -> str:
        """The result in words."""
        if self.refused:
            return f"computed by Keras: {self.refused}"
        return f"computed by LiteRT: {self.speed:.1f} × Keras, differs by {self.difference:.0e}"


class Runtime:
    """A converted network, ready to compute. Safe to share between threads."""

    def __init__(self, folder: Path, conversion: Conversion) -> None:
        """Open it. Raises OSError or ValueError where the file is not the one that was checked."""
        self._content = (folder / TFLITE).read_bytes()  # evicted or cut short, it stays whole here
        if checksum(folder, self._content) != conversion.crc32:
            raise ValueError("it has another checksum")
        self.folder, self.conversion = folder, conversion
        self._idle: dict[int, list[Any]] = {CPUS: [], SHARE: []}  # interpreters, by their threads

    @property
    def bytes(self) -> int:
        """The size of the network."""
        return len(self._content)

    def shape(self, output: str) -> tuple[int, ...]:
        """Return the shape of an output for one image."""
        names = self.conversion.network.outputs
        if output in names:
            return self.conversion.shapes[names.index(output)]
        height, width, channels = self.conversion.shapes[names.index(BOTTLENECK)]
        return (channels,) if output == "pooling-max" else (height * width * channels,)

    def compute(
        self, inputs: Floats, outputs: Sequence[str], *, alone: bool = True
    ) -> list[Floats]:
        """Return outputs (n, …) for preprocessed inputs, float32 (n, size, size, 3).

        Beside those of the network, "pooling-max" and "pooling-flatten" are outputs. With ``alone``
        all processors work on each image, without it as many as leave some for other threads.
        """
        names, idle = self.conversion.network.outputs, self._idle[CPUS if alone else SHARE]
        try:
            interpreter, entry, indices = idle.pop()
        except IndexError:
            interpreter, entry, indices = self._open_interpreter(CPUS if alone else SHARE)
        sources = [names.index(name if name in names else BOTTLENECK) for name in outputs]
        rows = []
        for image in inputs:
            interpreter.set_tensor(entry, np.ascontiguousarray(image)[None])
            interpreter.invoke()
            rows.append([interpreter.get_tensor(indices[source]) for source in sources])
        idle.append((interpreter, entry, indices))
        tensors = [np.concatenate(values) for values in zip(*rows, strict=True)]
        return [_pool(values, name) for values, name in zip(tensors, outputs, strict=True)]

    def _open_interpreter(self, threads: int) -> tuple[Any, int, dict[int, int]]:
        """Return an interpreter for one image, the index of its input, and those of the outputs."""
        from ai_edge_litert.interpreter import Interpreter

        interpreter = Interpreter(model_content=self._content, num_threads=threads)
        interpreter.allocate_tensors()
        # Outputs come in any order; "StatefulPartitionedCall_1:2" is the third one.
        details = interpreter.get_output_details()
        indices = {int(each["name"].rpartition(":")[2]): each["index"] for each in details}
        return interpreter, interpreter.get_input_details()[0]["index"], indices


def _pool(values: Floats, output: str) -> Floats:
    """Return maps pooled as an output wants it; other values as they are."""
    if output == "pooling-max":
        return values.max(axis=(1, 2))
    return values.reshape(len(values), -1) if output == "pooling-flatten" else values


def backbone_network(ref: ModelRef, settings: Settings, *layers: str, top: bool = False) -> Network:
    """Return the network of a reference to a backbone: to its features, or with the 1000 classes.

    Args:
        ref: backbone, size and weights.
        settings: where the weights are.
        *layers: further outputs.
        top: to the logits of ImageNet's classes.

    Raises:
        WeightsMissing: as ``find_weights``.
    """
    outputs = (LOGITS,) if top else (*layers, BOTTLENECK, POOLED)
    weights, row = "random", get_backbone(ref.backbone)
    if not ref.random:
        weights = hash_network(row, find_weights(row, ref.size, settings, top=top).path)
    return Network(ref.backbone, ref.size, weights, outputs)


def find_conversion(network: Network, settings: Settings) -> Conversion | None:
    """Return what converting a network, or one with more outputs, has come to.

    None where it was not converted yet. A layer's values are the same bits, whatever other outputs
    there are.
    """
    exact = settings.networks / network.name / CONVERSION
    pattern = f"{network.backbone}-{network.size}-*/{CONVERSION}"
    for path in dict.fromkeys([exact, *settings.networks.glob(pattern)]):
        try:
            conversion = read_json_or(path, Conversion, None)
        except DamagedFile as error:
            discard(path.parent, error.reason)
            continue
        stored = conversion and conversion.network  # of another version it has another name
        if stored and stored.covers(network) and path.parent.name == stored.name:
            return conversion
    return None


def open_runtime(network: Network, settings: Settings) -> Runtime | None:
    """Return a converted network, ready to compute; None where Keras has to do it."""
    if settings.runtime == "keras":
        return None
    conversion = find_conversion(network, settings)
    if conversion is None or conversion.refused:
        return None
    folder = settings.networks / conversion.network.name
    try:
        state = file_state(folder / TFLITE) + file_state(folder / TEMPLATE)
        runtime = _open(folder, state, conversion)
    except (OSError, ValueError) as error:
        discard(folder, str(error))
        return None
    with suppress(OSError):
        os.utime(folder / CONVERSION)  # used just now: evicted last
    return runtime


@lru_cache(maxsize=4)
def _open(folder: Path, state: object, conversion: Conversion) -> Runtime:
    return Runtime(folder, conversion)


def checksum(folder: Path, network: bytes) -> int:
    """Return the CRC-32 of a network followed by the template beside it, which not all have."""
    crc32 = zlib.crc32(network)
    with suppress(FileNotFoundError):
        crc32 = zlib.crc32((folder / TEMPLATE).read_bytes(), crc32)
    return crc32


def discard(folder: Path, damage: str = "") -> None:
    """Delete a converted network, if it is there; the log says what ``damage`` it had."""
    with suppress(OSError):  # it is not there (any more), or the disk is read-only
        discard_folder(folder)
        if damage:
            _log.warning("The converted network %s was damaged (%s): deleted.", folder.name, damage)


def start_conversion(network: Network, settings: Settings) -> bool:
    """Convert a network in a process of its own; return whether that is under way.

    Nothing is started where it was converted already or has failed a short time ago.
    """
    if settings.runtime == "keras" or find_conversion(network, settings):
        return False
    folder = settings.jobs / f"convert-{network.name}"
    job = read_job(folder)
    if job and job.status in (FAILED, CANCELLED):
        with suppress(FileNotFoundError):
            if abs(time.time() - (folder / "job.json").stat().st_mtime) < RETRY:
                return False  # a time in the future is a clock's that was wrong
    with suppress(StorageError):  # no room for it: Keras answers
        return start_job(folder, network.arguments, settings).is_running
    return False


def wait_for_runtime(
    network: Network, settings: Settings, waiting: Callable[[], None] = lambda: None
) -> Runtime | None:
    """Return a network ready to compute, converted first where it was not yet.

    ``waiting`` is called ten times a second meanwhile, and may raise to end it; the conversion goes
    on. None where Keras has to compute it.
    """
    if start_conversion(network, settings):
        while (job := read_job(settings.jobs / f"convert-{network.name}")) and job.is_running:
            waiting()
            time.sleep(_POLL)
    return open_runtime(network, settings)
