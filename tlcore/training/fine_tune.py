"""Fine-tuning: the unfrozen top blocks with the head, trained by Keras in one compiled step.

The inputs are the stored activations at the cut, so nothing frozen runs here. BatchNormalization
stays frozen (see ``unfreeze_from``) and normalises by its stored statistics.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tlcore.models.predictions import Floats
from tlcore.training.batches import MASKS, random_numbers
from tlcore.training.checkpoint import State
from tlcore.training.config import RunConfig
from tlcore.training.head import MOMENTUM, BatchMetrics, count_correct
from tlcore.training.history import StageName

OPTIMIZERS: Mapping[str, Any] = MappingProxyType(
    {
        "adam": keras.optimizers.Adam,
        "rmsprop": keras.optimizers.RMSprop,
        "sgd": lambda rate: keras.optimizers.SGD(rate, momentum=MOMENTUM),
    }
)


class TopBlocks:
    """A learner (see ``loop``): activations at the cut → logits."""

    stage: StageName = "fine-tune"

    def __init__(self, model: keras.Model, config: RunConfig) -> None:
        """Take the layers above the cut, the trainable ones unfrozen."""
        self.config = config
        self.model = model
        self.optimizer = OPTIMIZERS[config.optimizer](config.fine_tune_learning_rate)
        self.optimizer.build(model.trainable_variables)
        self._dropouts = [
            layer
            for layer in model.layers
            if isinstance(layer, keras.layers.Dropout) and layer.rate > 0
        ]
        self._loss = _loss(int(model.output_shape[-1]), config.label_smoothing)
        inputs = tf.TensorSpec((None, *model.input_shape[1:]), tf.float32)
        targets = tf.TensorSpec((None, model.output_shape[-1]), tf.float32)
        weights = tf.TensorSpec((None,), tf.float32)
        self._step = tf.function(self._learn, input_signature=[inputs, targets, weights])
        self._forward = tf.function(self._answer, input_signature=[inputs])

    def begin_epoch(self, epoch: int) -> None:
        draw = random_numbers(self.config.seed, self.stage, epoch, MASKS)
        for layer in self._dropouts:
            layer.seed_generator.state.assign(draw.integers(0, 2**31, 2).astype(np.uint32))

    def step(
        self, inputs: Floats, targets: Floats, weights: Floats | None, rate: float
    ) -> BatchMetrics:
        self.optimizer.learning_rate.assign(rate)
        if weights is None:
            weights = np.ones(len(inputs), np.float32)
        loss, logits = self._step(inputs, targets, weights)
        return BatchMetrics(
            float(loss) * len(inputs), count_correct(logits.numpy(), targets), len(inputs)
        )

    def evaluate(self, inputs: Floats, targets: Floats) -> BatchMetrics:
        logits = self.logits(inputs)
        losses = self._loss(targets, logits)
        return BatchMetrics(
            float(losses) * len(inputs), count_correct(logits, targets), len(inputs)
        )

    def logits(self, inputs: Floats) -> Floats:
        logits: Floats = self._forward(inputs).numpy()
        return logits

    def state(self) -> State:
        weights, optimizer = self.model.trainable_variables, self.optimizer.variables
        return {
            **{f"w{i}": variable.numpy().copy() for i, variable in enumerate(weights)},
            **{f"o{i}": variable.numpy().copy() for i, variable in enumerate(optimizer)},
        }

    def restore(self, state: State) -> None:
        for i, variable in enumerate(self.model.trainable_variables):
            variable.assign(state[f"w{i}"])
        for i, variable in enumerate(self.optimizer.variables if "o0" in state else ()):
            variable.assign(state[f"o{i}"])

    def _learn(self, inputs: Any, targets: Any, weights: Any) -> tuple[Any, Any]:
        with tf.GradientTape() as tape:
            logits = self.model(inputs, training=True)
            loss = self._loss(targets, logits, sample_weight=weights)
        gradients = tape.gradient(loss, [v.value for v in self.model.trainable_variables])
        self.optimizer.apply(gradients, self.model.trainable_variables)
        return loss, logits

    def _answer(self, inputs: Any) -> Any:
        return self.model(inputs, training=False)


def _loss(units: int, smoothing: float) -> keras.losses.Loss:
    if units == 1:
        return keras.losses.BinaryCrossentropy(from_logits=True, label_smoothing=smoothing)
    return keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=smoothing)
