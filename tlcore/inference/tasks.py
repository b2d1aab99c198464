"""What the inference worker can be asked: each takes the settings first and returns a value."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from functools import cache, lru_cache, partial
from pathlib import Path

from tlcore.images.decode import read
from tlcore.networks.answers import NetworkRef, Prediction, Pretrained
from tlcore.networks.network import Network, load_pretrained
from tlcore.runs.trained import load_trained
from tlcore.settings import Settings


def wake(settings: Settings, parent: int) -> int:
    """Return this process's id, once TensorFlow is loaded; from now on it ends with ``parent``.

    A server that is killed cannot take its worker down, and the worker would wait for ever.
    """
    threading.Thread(target=_leave_with, args=(parent,), daemon=True).start()
    return os.getpid()


def _leave_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(0)


def predict(settings: Settings, image: Path, ref: NetworkRef) -> Prediction:
    return network(settings, ref).predict(read(image, settings.limits))


def network(settings: Settings, ref: NetworkRef) -> Network:
    """Return a loaded network; the latest ``settings.models_kept`` stay in memory."""
    return _networks(settings)(ref)


@cache
def _networks(settings: Settings) -> Callable[[NetworkRef], Network]:
    return lru_cache(maxsize=settings.models_kept)(partial(load, settings=settings))


def load(ref: NetworkRef, settings: Settings) -> Network:
    """Load a network of either kind."""
    if isinstance(ref, Pretrained):
        return load_pretrained(ref, settings)
    return load_trained(ref.run, settings)
