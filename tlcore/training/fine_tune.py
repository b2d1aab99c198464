"""Fine-tuning: the unfrozen top blocks with the head, trained by Keras in one compiled step.

The inputs are the stored activations at the cut, so nothing frozen runs here. BatchNormalization
stays frozen (see ``unfreeze_from``) and normalises by its stored statistics.
"""

from __future__ import annotations

from functools import partial
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


class TopBlocks:
    """A learner (see ``loop``): activations at the cut → logits."""

    stage: StageName = "fine-tune"

    def __init__(self, model: keras.Model, config: RunConfig) -> None:
        """Take the layers above the cut, the trainable ones unfrozen."""
        self.config, self.model = config, model
        units = model.output_shape[-1]
        rate = config.fine_tune_learning_rate
        self.optimizer = {
            "adam": keras.optimizers.Adam,
            "rmsprop": keras.optimizers.RMSprop,
            "sgd": partial(keras.optimizers.SGD, momentum=MOMENTUM),
        }[config.optimizer](rate)
        self.optimizer.build(model.trainable_variables)
        dropouts = (each for each in model.layers if isinstance(each, keras.layers.Dropout))
        self._dropouts = [layer for layer in dropouts if layer.rate > 0]
        losses = keras.losses
        kind = losses.BinaryCrossentropy if units == 1 else losses.CategoricalCrossentropy
        self._loss = kind(from_logits=True, label_smoothing=config.label_smoothing)
        inputs = tf.TensorSpec((None, *model.input_shape[1:]), tf.float32)
        targets = tf.TensorSpec((None, units), tf.float32)
        weights = tf.TensorSpec((None,), tf.float32)
        self._step = tf.function(self._learn, [inputs, targets, weights], autograph=False)
        answer = partial(model, training=False)
        self._forward = tf.function(answer, [inputs], autograph=False)

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
        correct = count_correct(logits.numpy(), targets)
        return BatchMetrics(float(loss) * len(inputs), correct, len(inputs))

    def evaluate(self, inputs: Floats, targets: Floats) -> BatchMetrics:
        logits = self.logits(inputs)
        loss = float(self._loss(targets, logits)) * len(inputs)
        return BatchMetrics(loss, count_correct(logits, targets), len(inputs))

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
