"""Answers of frozen networks without TensorFlow: backbones and the models of runs, as arrays.

The 1000 classes of ImageNet, and each head on the same backbone, are a few matrix products on the
same features. One pass of LiteRT serves all of them, and where the features lie in the cache none
is needed. Whatever is not converted raises ``NotConverted``: Keras answers then.
"""

from __future__ import annotations

import time
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from PIL.Image import Image

from tlcore.datasets.decoding import decode_in_order
from tlcore.datasets.geometry import fit
from tlcore.datasets.image_io import read_image
from tlcore.errors import BadImage
from tlcore.models.catalog import RANDOM, RESCALING, get_backbone, preprocess
from tlcore.models.gradcam import Explanation, weigh_cells
from tlcore.models.imagenet import imagenet_classes
from tlcore.models.predictions import (
    Floats,
    ModelRef,
    Prediction,
    PredictionTime,
    expand_sigmoid,
    find_class,
    softmax,
)
from tlcore.models.runtime import (
    BOTTLENECK,
    LOGITS,
    POOLED,
    TEMPLATE,
    Network,
    NotConverted,
    Runtime,
    backbone_network,
    open_runtime,
)
from tlcore.models.weights import find_weights, hash_weights, read_pooled_top
from tlcore.settings import Settings
from tlcore.training.config import RunConfig
from tlcore.training.feature_cache import ENGINES, MISSING, FeatureKey, FeatureStore
from tlcore.training.keras_file import read_head
from tlcore.training.status import MODEL
from tlcore.training.store import load_run

Input = tuple[Network, str]  # what an image goes through, and its fit: models with one share a pass
Outputs = dict[tuple[Network, str, str], Floats]  # by network, fit and output; (n, …)


@dataclass(frozen=True, eq=False)
class FrozenModel:
    """What a model does behind its converted network."""

    network: Network
    fit: str  # a key of tlcore.datasets.geometry.FITS
    output: str  # of the network: LOGITS, or the pooled features that the dense layers take
    dense: tuple[tuple[Floats, Floats], ...]  # kernel and bias of each layer, relu between them
    labels: tuple[str, ...]
    wnids: tuple[str, ...]  # (classes,) or empty
    source: str  # "imagenet", "random" or "run"
    note: str

    def logits(self, values: Floats) -> Floats:
        """Return logits (n, classes) for that output, (n, …)."""
        for number, (kernel, bias) in enumerate(self.dense):
            values = (np.maximum(values, 0) if number else values) @ kernel + bias
        return expand_sigmoid(values)


@dataclass(frozen=True, eq=False)
class ForwardPass:
    """What networks have computed for one image."""

    outputs: Outputs
    seconds: PredictionTime


def feature_key(network: Network, output: str, fit: str, engine: str) -> FeatureKey:
    """Return where the cache has what an engine has computed for an output of a network: features,
    or the logits of a fine-tuned run for its own images."""
    return FeatureKey(network.backbone, network.weights, output, network.size, fit, engine)


def open_model(ref: ModelRef, settings: Settings) -> FrozenModel:
    """Return a model whose network is converted, or of which values may lie in the cache.

    Raises:
        NotConverted: Keras has to answer, also where a run's file is damaged.
        UnknownName, BadConfig, WeightsMissing, RunError: as ``transfer_model.load_model``.
    """
    if settings.runtime == "keras" or not (ref.run or ref.top):
        raise NotConverted
    return _open(ref, settings)


@lru_cache(maxsize=16)
def _open(ref: ModelRef, settings: Settings) -> FrozenModel:
    return _open_run(ref.run, settings) if ref.run else _open_pretrained(ref, settings)


def _open_pretrained(ref: ModelRef, settings: Settings) -> FrozenModel:
    row = get_backbone(ref.backbone)
    row.check_size(ref.size, top=True)
    wnids, labels = imagenet_classes()
    if ref.random:
        network, note = backbone_network(ref, settings, top=True), RANDOM
        return FrozenModel(network, ref.fit, LOGITS, (), labels, wnids, "random", note)
    note = find_weights(row, ref.size, settings, top=True).note
    dense = read_pooled_top(row, ref.size, settings)
    network = backbone_network(ref, settings, top=dense is None)
    output = LOGITS if dense is None else POOLED
    layers = () if dense is None else (dense,)
    return FrozenModel(network, ref.fit, output, layers, labels, wnids, "imagenet", note)


def run_network(folder: Path, config: RunConfig) -> Network:
    """Return the whole network of a run that has a model, by the run's folder."""
    weights = hash_weights(folder / MODEL)
    return Network(config.backbone, config.size, weights, (LOGITS,), folder.name)


def _open_run(run: str, settings: Settings) -> FrozenModel:
    stored = load_run(run, settings)
    info, config = stored.info, stored.info.config
    if info.model is None:
        raise NotConverted
    network, output, dense = run_network(info.folder, config), LOGITS, None
    if not stored.unfrozen_from:
        ref = ModelRef(config.backbone, config.size, random=config.random_weights)
        features = backbone_network(ref, settings)
        runtime = open_runtime(features, settings)
        if runtime is None:
            raise NotConverted(features)
        try:
            dense = read_head(info.model, runtime.folder / TEMPLATE)
        except Exception as error:  # zipfile, h5py and json raise all kinds for a damaged file
            raise NotConverted from error
    if dense is not None:
        network, output = features, f"pooling-{config.pooling}"
    note = describe_scaling(config, info.model)
    return FrozenModel(
        network, config.fit, output, tuple(dense or ()), stored.classes, (), "run", note
    )


def describe_scaling(config: RunConfig, model: Path) -> str:
    """Return what a reader must know of the weights of a run's model.keras; often ""."""
    if config.random_weights:
        return "trained on a backbone with random weights"
    if not get_backbone(config.backbone).imagenet_scale:
        return ""
    with zipfile.ZipFile(model) as archive:
        if RESCALING.encode() in archive.read("config.json"):
            return ""
    return (
        f"trained before {config.backbone} had Keras' own scaling of its input, so that "
        "ImageNet's weights were of little use to it: run it again"
    )


def run_networks(image: Image, models: Sequence[FrozenModel], settings: Settings) -> ForwardPass:
    """Return what the networks of models compute for an RGB image. Raises NotConverted."""
    runtimes = open_runtimes(models, settings)
    start = time.perf_counter()
    inputs = _prepare(image, models)
    prepared = time.perf_counter() - start
    outputs = _compute(models, inputs, runtimes, alone=True)
    return ForwardPass(
        outputs, PredictionTime(0.0, prepared, time.perf_counter() - start - prepared)
    )


def predict(models: Sequence[FrozenModel], forward: ForwardPass) -> list[Prediction]:
    """Return each model's prediction for the image of a pass."""
    predictions = []
    for model in models:
        logits = model.logits(forward.outputs[model.network, model.fit, model.output])[0]
        predictions.append(
            Prediction(
                probabilities=softmax(logits),
                logits=logits,
                labels=model.labels,
                wnids=model.wnids,
                source=model.source,
                note=model.note,
                size=model.network.size,
                fit=model.fit,
                seconds=forward.seconds,
            )
        )
    return predictions


def explain(model: FrozenModel, target: int, forward: ForwardPass) -> Explanation:
    """Return the exact contributions to a class's logit, by its index, for the image of a pass.

    Raises:
        NotConverted: only Grad-CAM can explain this model.
        UnknownName: no such class.
    """
    if model.output != POOLED or len(model.dense) != 1:
        raise NotConverted
    start, index = time.perf_counter(), find_class(model.labels, target)
    [maps] = forward.outputs[model.network, model.fit, BOTTLENECK]
    cells, bias = weigh_cells(maps, *model.dense[0], index)
    [logits] = model.logits(forward.outputs[model.network, model.fit, POOLED])
    return Explanation(
        cam=np.maximum(cells, 0),  # the gradient of this sum is the kernel
        index=index,
        label=model.labels[index],
        wnid=model.wnids[index] if model.wnids else "",
        probability=float(softmax(logits)[index]),
        layer="",
        source=model.source,
        note=model.note,
        size=model.network.size,
        fit=model.fit,
        seconds=forward.seconds.prepare + forward.seconds.network + time.perf_counter() - start,
        # Of a sigmoid unit z the logits are (0, z) here, and (−z, z) in an explanation.
        logit=float(logits[index] - (logits[1 - index] if model.dense[0][1].size == 1 else 0)),
        contributions=cells,
        bias=bias,
    )


def open_runtimes(models: Iterable[FrozenModel], settings: Settings) -> Mapping[Network, Runtime]:
    """Return the converted networks of models. Raises NotConverted, with all that are not."""
    networks = dict.fromkeys(model.network for model in models)
    runtimes = {each: open_runtime(each, settings) for each in networks}
    if absent := [each for each, runtime in runtimes.items() if runtime is None]:
        raise NotConverted(*absent)
    return {each: runtime for each, runtime in runtimes.items() if runtime}


def _prepare(image: Image, models: Iterable[FrozenModel]) -> dict[Input, Floats]:
    """Return what goes through the networks of models for an image, (1, size, size, 3) each."""
    return {
        (network, how): preprocess(fit(image, network.size, how), network.backbone)[None]
        for network, how in dict.fromkeys((model.network, model.fit) for model in models)
    }


def _compute(
    models: Sequence[FrozenModel],
    inputs: Mapping[Input, Floats],
    runtimes: Mapping[Network, Runtime],
    *,
    alone: bool,
) -> Outputs:
    """Return the outputs that models need: one pass for each input.

    With ``alone`` all processors work on it, and the last feature maps are returned where they are
    averaged: whoever looks at one image asks why.
    """
    results: Outputs = {}
    for (network, how), prepared in inputs.items():
        wanted = [each.output for each in models if (each.network, each.fit) == (network, how)]
        names = list(dict.fromkeys([*wanted, *([BOTTLENECK] * (alone and POOLED in wanted))]))
        outputs = runtimes[network].compute(prepared, names, alone=alone)
        results |= {(network, how, name): v for name, v in zip(names, outputs, strict=True)}
    return results


def compute_logits(
    models: Sequence[FrozenModel], files: Sequence[tuple[Path, str]], settings: Settings
) -> list[tuple[Floats, ...] | BadImage]:
    """Return each file's logits by every model, or why it cannot be read.

    Args:
        models: all answer in one pass where they share network, size and fit.
        files: with their SHA-256, or "" where features in the cache are not looked for.
        settings: where networks and features are.

    Raises:
        NotConverted: features are neither in the cache nor can they be computed here.
    """
    values = [_find_cached(model, files, settings) for model in models]
    pairs = zip(models, values, strict=True)
    lacking = [(model, by_number) for model, by_number in pairs if len(by_number) < len(files)]
    computing = [model for model, _ in lacking]
    runtimes = open_runtimes(computing, settings)

    def compute(number: int) -> Outputs | BadImage:
        try:
            image = read_image(files[number][0], settings.limits)
        except BadImage as error:
            return error
        return _compute(computing, _prepare(image, computing), runtimes, alone=False)

    absent = [n for n in range(len(files)) if any(n not in by_number for _, by_number in lacking)]
    errors: dict[int, BadImage] = {}
    with closing(decode_in_order(compute, absent)) as results:
        for number, outputs in zip(absent, results, strict=True):
            if isinstance(outputs, BadImage):
                errors[number] = outputs
                continue
            for model, by_number in lacking:
                by_number[number] = outputs[model.network, model.fit, model.output][0]
    numbers = [number for number in range(len(files)) if number not in errors]
    by_model = [
        model.logits(np.stack([by_number[number] for number in numbers]))
        for model, by_number in zip(models, values, strict=True)
        if numbers
    ]
    rows = zip(*by_model, strict=True)
    return [errors[n] if n in errors else next(rows) for n in range(len(files))]


def _find_cached(
    model: FrozenModel, files: Sequence[tuple[Path, str]], settings: Settings
) -> dict[int, Floats]:
    """Return what a model takes from its network that lies in the cache, by the number of the
    file."""
    by_number: dict[int, Floats] = {}
    ids = [sha256 for _, sha256 in files]
    for engine in ENGINES if any(ids) else ():
        key = feature_key(model.network, model.output, model.fit, engine)
        with suppress(OSError):
            changed = (settings.features / key.name).stat().st_mtime_ns
            store = _open_store(settings.features, key, changed)
            rows = store.find(ids)
            here = np.flatnonzero(rows != MISSING)
            by_number = dict(zip(here.tolist(), store.take(rows[here]), strict=True)) | by_number
    return by_number


@lru_cache(maxsize=4)
def _open_store(root: Path, key: FeatureKey, changed: int) -> FeatureStore:
    return FeatureStore(root, key)
