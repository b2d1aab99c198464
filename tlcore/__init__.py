"""Transfer Learning Lab: see and use transfer learning on images.

>>> import tlcore
>>> dataset = tlcore.load_dataset("path/to/class_folders")
>>> run = tlcore.train(dataset, backbone="MobileNetV2", epochs=10)
>>> tlcore.load_model(run).predict("image.jpg").ranking(3)
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tlcore.inference.api import (
        evaluate,
        export,
        list_runs,
        load_dataset,
        load_model,
        load_run,
        predict,
        train,
    )
    from tlcore.settings import Settings
    from tlcore.training.config import RunConfig

__all__ = [
    "RunConfig",
    "Settings",
    "evaluate",
    "export",
    "list_runs",
    "load_dataset",
    "load_model",
    "load_run",
    "predict",
    "train",
]


def __getattr__(name: str) -> Any:
    """Load a public name when it is first used: ``import tlcore`` alone imports nothing else."""
    if name not in __all__:
        raise AttributeError(f"module 'tlcore' has no attribute {name!r}")
    return getattr(import_module("tlcore.inference.api"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
