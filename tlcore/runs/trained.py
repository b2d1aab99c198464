"""A finished run's network, loaded to answer."""

from __future__ import annotations

import keras

from tlcore.errors import RunError
from tlcore.networks.network import Network
from tlcore.runs.store import load_run
from tlcore.settings import Settings


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
    model = keras.models.load_model(info.model, compile=False, safe_mode=True)
    note = "trained on a backbone with random weights" if info.config.random_weights else ""
    return Network(
        model=keras.Model(model.input, model.get_layer("logits").output),
        backbone=info.config.backbone,
        size=info.config.size,
        fit=info.config.fit,
        labels=found.classes,
        wnids=(),
        source="run",
        note=note,
    )
