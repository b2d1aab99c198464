"""The model of a run, backbone and head: built for training, saved, and loaded to predict.

For training it has several ways through: to the features, from the cut to the logits, whole.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache, cached_property, lru_cache
from pathlib import Path
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from tlcore.errors import RunError, UnknownName
from tlcore.models import build, conversion, runtime
from tlcore.models.catalog import preprocess
from tlcore.models.loaded_model import LoadedModel, load_pretrained
from tlcore.models.predictions import Floats, ModelRef
from tlcore.settings import Settings
from tlcore.text import shorten
from tlcore.training.answers import describe_scaling, run_network
from tlcore.training.augmentation import FORWARD
from tlcore.training.config import RunConfig
from tlcore.training.run import RunInfo
from tlcore.training.status import MODEL
from tlcore.training.store import load_run, load_run_info


def load_model(ref: ModelRef, settings: Settings) -> LoadedModel:
    """Return a model ready to predict; the latest ``settings.models_kept`` stay in memory.

    Raises:
        UnknownName, BadConfig, WeightsMissing: as ``load_pretrained``.
        RunError: as ``load_run_model``.
    """
    return _models(settings)(ref)


@cache
def _models(settings: Settings) -> Callable[[ModelRef], LoadedModel]:
    def load(ref: ModelRef) -> LoadedModel:
        return load_run_model(ref.run, settings) if ref.run else load_pretrained(ref, settings)

    return lru_cache(maxsize=settings.models_kept)(load)


def load_run_model(run: str, settings: Settings) -> LoadedModel:
    """Load the trained model of a run, with its own size, geometry and classes.

    Raises:
        RunError: no such run, or it has no model (yet).
    """
    stored = load_run(run, settings)
    info = stored.info
    saved = load_saved_model(info)
    model = keras.Model(saved.input, saved.get_layer("logits").output)
    build.freeze_base(model)  # it was saved so, but Keras does not restore it in a nested model
    # For the list of layers; before flattening, as an earlier run may name a nested block.
    build.unfreeze_from(model, stored.unfrozen_from or "pooling")
    model = build.flatten(model)
    config, note = info.config, describe_scaling(info.config, info.model or Path())
    return LoadedModel(
        model, config.backbone, config.size, config.fit, stored.classes, (), "run", note
    )


def convert_backbone(
    ref: ModelRef, settings: Settings, layers: Sequence[str] = (), *, top: bool = False
) -> runtime.Conversion:
    """Convert a backbone to its features and these layers, or with ImageNet's classes.

    Raises:
        UnknownName: the backbone has no such layer.
        BadConfig, WeightsMissing, StorageError: as ``build_backbone`` and ``conversion.convert``.
    """
    base, _ = build.build_backbone(replace(ref, top=top), settings)
    network = runtime.backbone_network(ref, settings, *layers, top=top)
    if top:
        return conversion.convert(network, base, settings)
    for name in layers:
        names = [layer.name for layer in base.layers]
        if name not in names:
            raise UnknownName.of("layer", name, names)
    pooled = build.POOLINGS["avg"](name="pooling")(base.output)
    outputs = [*(base.get_layer(name).output for name in layers), base.output, pooled]
    template = build.add_head(base, 3, hidden=(1,))
    template.trainable = False
    return conversion.convert(network, keras.Model(base.input, outputs), settings, template)


def convert_run(run: str, settings: Settings) -> runtime.Conversion:
    """Convert the whole model of a run. Raises as ``load_run_model`` and ``conversion.convert``."""
    model, info = load_run_model(run, settings).model, load_run_info(run, settings)
    return conversion.convert(run_network(info.folder, info.config), model, settings)


def load_saved_model(info: RunInfo) -> keras.Model:
    """Load a run's model.keras as it was saved; code in it is never executed.

    Raises:
        RunError: the run has none, or it is damaged or not one that this product has saved.
    """
    for damage in info.damage:
        if damage.file == MODEL and (info.folder / MODEL).exists():
            raise _damaged(info, damage.reason)
    if info.model is None:
        raise RunError(
            f"Expected a run with a trained model. Received {info.id}, which is {info.status} "
            "and has none. Choose another run, or wait until it has finished."
        )
    try:
        model = keras.models.load_model(info.model, compile=False, safe_mode=True)
        model.get_layer("logits")  # every model that a run saves has it
        return model
    except Exception as error:  # a damaged file makes Keras, h5py and zipfile raise all kinds
        if "safe_mode" in str(error):
            raise RunError(
                f"The file model.keras of run {info.id} holds code (a Lambda layer), which is not "
                "executed: nobody knows what it does. This product saves no such file. Put the "
                "original back, or train the run again."
            ) from error
        raise _damaged(info, shorten(str(error), 200)) from error


def _damaged(info: RunInfo, reason: str) -> RunError:
    return RunError(
        f"The file model.keras of run {info.id} is damaged: {reason.rstrip('.')}. Put a copy back, "
        "or train the run again; its curves and figures are still here."
    )


class TransferModel:
    """A frozen backbone with its head: pixels → probabilities, and its parts."""

    def __init__(self, config: RunConfig, classes: int, settings: Settings) -> None:
        """Build it. Raises as ``build_backbone`` does."""
        self.config = config
        ref = ModelRef(config.backbone, config.size, random=config.random_weights, top=False)
        self.base, _ = build.build_backbone(ref, settings)
        self.model = build.add_head(
            self.base,
            classes,
            pooling=config.pooling,
            dropout=config.dropout,
            hidden=config.hidden_units,
            output=config.classifier_activation,
            seed=config.seed,
        )
        build.freeze_base(self.base)
        self._passes: dict[tuple[str, ...], Any] = {}  # compiled, by layers

    @cached_property
    def cut(self) -> str:
        """The layer up to which everything stays frozen."""
        return build.find_cut_below(self.base, self.config.unfreeze_from)

    def output(self, layer: str) -> Any:
        """Return the symbolic output of a layer; "pooling-…" is the pooled features."""
        name = "pooling" if layer.startswith("pooling-") else layer
        return self.model.get_layer(name).output

    def shape(self, layer: str) -> tuple[int, ...]:
        """Return the shape of a layer's output for one image."""
        return tuple(self.output(layer).shape[1:])

    def forward(self, pixels: npt.NDArray[np.uint8], layers: Sequence[str]) -> list[Floats]:
        """Return the outputs of layers for up to FORWARD images, in inference mode; ``pixels`` are
        uint8 (n, size, size, 3).
        """
        count = len(pixels)
        if count < FORWARD:  # one shape, one trace, and the same arithmetic for every image
            padding = np.zeros((FORWARD - count, *pixels.shape[1:]), np.uint8)
            pixels = np.concatenate([pixels, padding])
        self.trace(layers)
        outputs = self._passes[tuple(layers)](tf.constant(preprocess(pixels, self.config.backbone)))
        return [output.numpy()[:count] for output in outputs]

    def trace(self, layers: Sequence[str]) -> None:
        """Compile the pass of ``forward`` to these layers, once."""
        if tuple(layers) not in self._passes:
            network = keras.Model(self.model.input, [self.output(layer) for layer in layers])
            compiled = tf.function(
                lambda batch: tf.nest.flatten(network(batch, training=False)), autograph=False
            )
            signature = tf.TensorSpec((FORWARD, *self.model.input_shape[1:]), tf.float32)
            self._passes[tuple(layers)] = compiled.get_concrete_function(signature)

    def set_head_weights(self, weights: Sequence[Floats]) -> None:
        """Put weights into the dense layers, first to last: kernel, bias, kernel, bias, …"""
        layers = [layer for layer in self.model.layers if layer.name.startswith("dense_")]
        for number, layer in enumerate([*layers, self.model.get_layer("logits")]):
            layer.set_weights(weights[2 * number : 2 * number + 2])

    def top(self) -> keras.Model:
        """Return the layers above the cut, activations → logits, unfrozen."""
        build.unfreeze_from(self.base, self.config.unfreeze_from)
        return keras.Model(self.output(self.cut), self.model.get_layer("logits").output)

    def save(self, folder: Path) -> None:
        """Save the model as ``model.keras``, whole or not at all."""
        self.model.trainable = False  # what is saved only predicts
        temporary = folder / ".saving.keras"
        self.model.save(temporary)
        temporary.replace(folder / MODEL)
