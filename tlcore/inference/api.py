"""The public Python API. ``import tlcore`` offers these names, loaded when they are first used.

Images are paths, PIL images or uint8 arrays (height, width, 3). Settings default to the
environment, see ``Settings.from_environment``. All errors are ``tlcore.errors.TLCoreError`` with a
message for a person.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tlcore.datasets.dataset import Dataset
from tlcore.datasets.sample_dataset import ensure_sample
from tlcore.datasets.store import open_dataset
from tlcore.errors import BadConfig, RunError
from tlcore.migration import migrate
from tlcore.models.catalog import get_backbone
from tlcore.models.predictions import ModelRef, Prediction
from tlcore.settings import Settings
from tlcore.training import store
from tlcore.training.config import RunConfig, check_recipe
from tlcore.training.history import Event
from tlcore.training.lifecycle import create_run
from tlcore.training.run import Run, RunInfo
from tlcore.training.status import FINISHED
from tlcore.training.worker import execute_run

if TYPE_CHECKING:  # both load TensorFlow, which takes seconds
    from tlcore.evaluation.evaluation import Evaluation
    from tlcore.models.loaded_model import ImageSource, LoadedModel


def _open_workspace(settings: Settings | None) -> Settings:
    """Return the settings, by default the environment's, of a workspace of this version."""
    settings = settings or Settings.from_environment()
    migrate(settings)
    return settings


def load_dataset(name_or_folder: str | Path, *, settings: Settings | None = None) -> Dataset:
    """Return a stored dataset by its name, or read a folder of class folders in place.

    A folder may have ``train/``, ``val/`` and ``test/`` above its class folders. No pixel is read.
    "sample" is a small drawn dataset, which is created when it is first asked for.

    Raises:
        BadDataset: no such dataset, or no class folder with an image in the folder.

    Example:
        >>> dataset = tlcore.load_dataset("flowers")
        >>> dataset.counts
        {'daisy': 12, 'tulip': 12}
    """
    settings = _open_workspace(settings)
    if Path(name_or_folder).is_dir():
        return open_dataset(str(Path(name_or_folder).resolve()), settings)
    if name_or_folder == "sample" and not (settings.datasets / "sample").exists():
        return ensure_sample(settings)
    return open_dataset(str(name_or_folder), settings)


def train(
    dataset: Dataset | str | Path,
    *,
    on_event: Callable[[Event], None] = lambda _: None,
    settings: Settings | None = None,
    **options: Any,
) -> Run:
    """Train a run in this process, as the Fine-tune page does in one of its own: to the same bits.

    Args:
        dataset: as ``load_dataset`` returns it, or what it takes.
        on_event: called with each stage, progress, epoch and skipped file, once it is on disk.
        settings: where the run is stored.
        **options: fields of ``RunConfig``, such as ``backbone``, ``epochs``, ``fine_tune_epochs``.

    Returns:
        The finished run; its folder is ``run.info.folder``.

    Raises:
        BadConfig: an option does not exist or cannot have this value.
        BadDataset: the dataset cannot be trained on, with the reason.
        RunError: training ended early, with the reason. What was learned until then is kept.

    Example:
        >>> options = {"backbone": "MobileNet-0.25", "size": 64, "random_weights": True}
        >>> run = tlcore.train("flowers", epochs=2, **options)
        >>> [epoch.epoch for epoch in run.history]
        [1, 2]
    """
    settings = _open_workspace(settings)
    if not isinstance(dataset, Dataset):
        dataset = load_dataset(dataset, settings=settings)
    names = [field.name for field in dataclasses.fields(RunConfig) if field.name != "dataset"]
    if unknown := sorted(set(options) - set(names)):
        raise BadConfig(f"Expected options among {', '.join(names)}. Received {unknown[0]!r}.")
    config = RunConfig(dataset.reference, **options)
    check_recipe(config, dataset)
    folder, lock = create_run(config, settings)
    try:
        result = execute_run(folder, settings, emit=on_event)
    finally:
        os.close(lock)
    if result.status != FINISHED:
        raise RunError(f"Run {folder.name} {result.status}. {result.error}".rstrip())
    return store.load_run(folder.name, settings)


def list_runs(*, settings: Settings | None = None) -> list[RunInfo]:
    """Return all readable runs of the workspace, newest first.

    Example:
        >>> tlcore.list_runs()[0].status
        'finished'
    """
    return store.list_runs(_open_workspace(settings))


def load_run(run: str, *, settings: Settings | None = None) -> Run:
    """Return a run by its id, with its history so far.

    Raises:
        RunError: no such run, with those that are there; or its folder cannot be read.

    Example:
        >>> tlcore.load_run(run.info.id).classes
        ('daisy', 'tulip')
    """
    return store.load_run(run, _open_workspace(settings))


def load_model(
    name: str | Run,
    *,
    size: int | None = None,
    fit: str = "crop",
    random_weights: bool = False,
    settings: Settings | None = None,
) -> LoadedModel:
    """Return a backbone with its 1000 classes, or the model of a run, ready to predict.

    Args:
        name: of a backbone ("MobileNetV2"), or a run or its id.
        size: side of the square input, pixels; the backbone's own by default. A run has its own.
        fit: how an image becomes a square: "crop", "squash" or "pad". A run has its own.
        random_weights: do without ImageNet's weights.

    Raises:
        UnknownName: neither a backbone nor a run.
        WeightsMissing: the weights are not on this machine, with how to get them.

    Example:
        >>> model = tlcore.load_model(run)
        >>> model.predict("daisy.jpg").ranking(1)[0].label in run.classes
        True
    """
    from tlcore.training import transfer_model

    settings = _open_workspace(settings)
    name = _run_id(name)
    if (settings.runs / name).is_dir():
        ref = store.load_run_info(name, settings).ref
    else:
        ref = ModelRef(name, size or get_backbone(name).size, fit, random_weights)
    return transfer_model.load_model(ref, settings)


def _run_id(run: Run | str) -> str:
    return run.info.id if isinstance(run, Run) else run


def predict(image: ImageSource, models: Sequence[LoadedModel] | LoadedModel) -> list[Prediction]:
    """Return what each model predicts for one image, which is decoded once.

    Raises:
        BadImage: the image cannot be read, with the reason.

    Example:
        >>> [prediction] = tlcore.predict("daisy.jpg", model)
        >>> float(round(prediction.probabilities.sum(), 4))
        1.0
    """
    from tlcore.models.loaded_model import LoadedModel, open_image

    pixels = open_image(image)
    several = [models] if isinstance(models, LoadedModel) else models
    return [model.predict(pixels) for model in several]


def evaluate(
    run: Run | str, split: str | None = None, *, settings: Settings | None = None
) -> Evaluation:
    """Return accuracy, metrics, baselines and warnings of a run, on images it has not trained on.

    Args:
        run: a finished run or its id.
        split: "test" or "val"; the test split by default where there is one.

    Raises:
        RunError: the run has no model yet, or no such split.

    Example:
        >>> evaluation = tlcore.evaluate(run)
        >>> evaluation.classes, evaluation.accuracy.images
        (('daisy', 'tulip'), 4)
    """
    from tlcore.evaluation.evaluation import evaluate as evaluate_run

    settings = _open_workspace(settings)
    return evaluate_run(_run_id(run), split, settings)


def export(run: Run | str, path: str | Path, *, settings: Settings | None = None) -> Path:
    """Write a run to a file, by its ending: .html report, .zip bundle, .keras, .py or .ipynb.

    Returns:
        The file, complete or not there at all.

    Raises:
        RunError: the run has no model yet.
        StorageError: the file cannot be written, with the reason.
        UnknownName: another ending.

    Example:
        >>> tlcore.export(run, "run.py").name
        'run.py'
    """
    from tlcore.exports import export as export_run

    settings = _open_workspace(settings)
    return export_run(_run_id(run), Path(path), settings)
