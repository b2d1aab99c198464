"""A finished run's network, loaded to answer."""

from __future__ import annotations

import keras

from tlcore.errors import RunError
from tlcore.models.build import RESCALING
from tlcore.models.catalogue import backbone
from tlcore.models.freeze import freeze_base, unfreeze_from
from tlcore.models.network import Network
from tlcore.settings import Settings
from tlcore.training.config import RunConfig
from tlcore.training.kept import learned_from
from tlcore.training.store import load_run


def load_trained(run: str, settings: Settings) -> Network:
    """Load what a run has saved, with its own size, geometry and classes.

    Raises:
        RunError: no such run, or it has no network (yet).
    """
    found = load_run(run, settings)
    info = found.info
    if info.model is None:
        raise RunError(
            f"Expected a run with a trained network. Received {run}, which is {info.state} and "
            "has none. Choose another run, or wait until it has finished."
        )
    saved = keras.models.load_model(info.model, compile=False, safe_mode=True)
    model = keras.Model(saved.input, saved.get_layer("logits").output)
    freeze_base(model)  # it was saved so, but Keras forgets it of a Sequential within
    # For the list of layers; nothing learns here.
    unfreeze_from(model, learned_from(found) or "pooling")
    return Network(
        model=model,
        backbone=info.config.backbone,
        size=info.config.size,
        fit=info.config.fit,
        labels=found.classes,
        wnids=(),
        source="run",
        note=_note(info.config, model),
    )


def _note(config: RunConfig, model: keras.Model) -> str:
    if config.random_weights:
        return "trained on a backbone with random weights"
    names = {layer.name for layer in model.layers}
    if backbone(config.backbone).imagenet_scale and RESCALING not in names:
        return (
            f"trained before {config.backbone} had Keras' own scaling of its input, so that "
            "ImageNet's weights were of little use to it: run it again"
        )
    return ""
