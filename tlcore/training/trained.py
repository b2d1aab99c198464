"""A finished run's network, loaded to answer."""

from __future__ import annotations

import keras

from tlcore.errors import RunError
from tlcore.models.build import RESCALING
from tlcore.models.catalogue import backbone
from tlcore.models.freeze import freeze_base, unfreeze_from
from tlcore.models.network import Network
from tlcore.settings import Settings
from tlcore.text import shorten
from tlcore.training.config import RunConfig
from tlcore.training.kept import learned_from
from tlcore.training.records import MODEL
from tlcore.training.run import RunInfo
from tlcore.training.store import load_run


def load_trained(run: str, settings: Settings) -> Network:
    """Load what a run has saved, with its own size, geometry and classes.

    Raises:
        RunError: no such run, or it has no network (yet).
    """
    stored = load_run(run, settings)
    info = stored.info
    saved = load_saved(info)
    model = keras.Model(saved.input, saved.get_layer("logits").output)
    freeze_base(model)  # it was saved so, but Keras forgets it of a Sequential within
    # For the list of layers; nothing learns here.
    unfreeze_from(model, learned_from(stored) or "pooling")
    return Network(
        model=model,
        backbone=info.config.backbone,
        size=info.config.size,
        fit=info.config.fit,
        labels=stored.classes,
        wnids=(),
        source="run",
        note=_note(info.config, model),
    )


def load_saved(info: RunInfo) -> keras.Model:
    """Load a run's model.keras as it was saved; code in it is never executed.

    Raises:
        RunError: the run has none, or it is damaged or not one that this product has saved.
    """
    for damage in info.damage:
        if damage.file == MODEL and (info.folder / MODEL).exists():
            raise _damaged(info, damage.reason)
    if info.model is None:
        raise RunError(
            f"Expected a run with a trained network. Received {info.id}, which is {info.state} "
            "and has none. Choose another run, or wait until it has finished."
        )
    try:
        model = keras.models.load_model(info.model, compile=False, safe_mode=True)
        model.get_layer("logits")  # every network that a run saves has it
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
