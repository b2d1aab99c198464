"""Bundle of a run: its model in several formats, each checked, with a program and a model card.

Conversion needs much memory and can die, so it belongs in a process of its own: the command line
is one. Nothing appears under the target's name before all of it is there.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile

import keras
import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from tlcore.datasets.image_io import read_image
from tlcore.datasets.sample_dataset import PAINTERS, draw_sample
from tlcore.errors import BadImage, RunError
from tlcore.evaluation.intervals import Proportion, proportion_of
from tlcore.evaluation.split_predictions import evaluated_split, stored_predictions
from tlcore.exports import bundle_predict
from tlcore.exports.bundle_check import (
    CHECKS,
    FORMATS,
    MAX_ERROR,
    ExpectedPredictions,
    FormatCheck,
    ModelFormat,
    check_format,
)
from tlcore.exports.deployable import WRITERS, build_deployable
from tlcore.exports.recipe_text import describe_recipe
from tlcore.jobs import Progress
from tlcore.locks import remove_leftovers, work_folder
from tlcore.models.catalog import get_backbone
from tlcore.models.loaded_model import LoadedModel
from tlcore.percentages import percent
from tlcore.settings import Limits, Settings
from tlcore.storage import check_output, explained_os_errors
from tlcore.text import plural
from tlcore.training.provenance import list_samples, list_versions, read_provenance_or_default
from tlcore.training.run import Run, RunInfo, title_run
from tlcore.training.store import load_run
from tlcore.training.transfer_model import load_run_model, load_saved_model

TEMPLATES = Path(__file__).with_name("templates")
IMAGES = 32  # on which each format is compared
COMPARED = 2  # formats at a time, each in a process with a TensorFlow of its own
LITERT = "2.3.0"  # of ai-edge-litert, which reads TFLite without TensorFlow; held by a test
NEEDED = ("numpy", "pillow", "keras", "tensorflow")  # by predict.py, for every format
STEPS = len(FORMATS) + 3


def write_bundle(
    run: str,
    path: Path,
    settings: Settings,
    progress: Progress = lambda done, total, message: None,
) -> list[FormatCheck]:
    """Write a run's bundle as a zip, whole or not at all.

    Args:
        run: the id of a run with a model.
        path: the zip.
        settings: where runs lie.
        progress: called before each step.

    Returns:
        The check of each format.

    Raises:
        RunError: no such run, no model, or no format that agrees with the page.
        StorageError: nowhere to write, or no room.
    """
    loaded = load_run(run, settings)
    check_output(path)
    remove_leftovers(settings.work)
    with (
        explained_os_errors(f"{path.name} could not be made"),
        work_folder(settings.work) as place,
    ):
        folder, drawn = place / f"bundle-{run}", place / "drawn"
        folder.mkdir()
        drawn.mkdir()
        progress(0, STEPS, "Predicting with the page's model")
        expected = predict_expected(
            loaded.info, load_run_model(run, settings), drawn, settings.limits
        )
        _write_program(loaded, folder)
        checks = _write_formats(_build_run_model(loaded.info), folder, expected, progress)
        _remove_failed(folder, checks)
        progress(STEPS - 1, STEPS, "Packing")
        _write_texts(loaded, folder, checks, settings)
        _pack(folder, path)
    return checks


def write_keras_model(
    run: str,
    path: Path,
    settings: Settings,
    progress: Progress = lambda done, total, message: None,
) -> None:
    """Write a run's model as one .keras file: uint8 pixels in, probabilities out.

    Raises:
        RunError: no such run, or no model.
        StorageError: the file cannot be written.
    """
    loaded = load_run(run, settings)
    check_output(path)
    progress(0, 1, "Writing the model")
    with explained_os_errors(f"{path.name} could not be written"):
        beside = path.with_name(f".{path.stem}.part.keras")
        try:
            _build_run_model(loaded.info).save(beside)
            beside.replace(path)
        finally:
            beside.unlink(missing_ok=True)


def predict_expected(
    run: RunInfo, model: LoadedModel, folder: Path, limits: Limits
) -> ExpectedPredictions:
    """Return the page's predictions for the run's validation images, spread over its classes.

    Where fewer than IMAGES can be read, drawn images make up the number.

    Args:
        run: whose images.
        model: as the page loads it.
        folder: takes the drawn images.
        limits: of files that are read.
    """
    paths, rows = [], []
    for path in _candidates(run, folder):
        try:
            prediction = model.predict(read_image(path, limits))
        except BadImage:
            continue
        paths.append(path)
        rows.append(prediction.probabilities)
        if len(paths) == IMAGES:
            break
    return ExpectedPredictions(tuple(paths), np.stack(rows), model.labels)


def _candidates(run: RunInfo, folder: Path) -> Iterator[Path]:
    samples = list_samples(run, "val")
    step = max(1, len(samples) // IMAGES)  # they come class by class
    yield from (sample.path.resolve() for sample in samples[::step])
    for number in range(1, IMAGES + 1):
        for label in PAINTERS:
            path = folder / f"{label}-{number}.jpg"
            path.write_bytes(draw_sample(label, "train", number))
            yield path


def _build_run_model(info: RunInfo) -> keras.Model:
    return build_deployable(load_saved_model(info), get_backbone(info.config.backbone).mode)


def _write_formats(
    model: keras.Model, folder: Path, expected: ExpectedPredictions, progress: Progress
) -> list[FormatCheck]:
    """Write each format, and check it while the next ones are written: both take seconds."""
    with ThreadPoolExecutor(COMPARED) as pool:
        pending: list[Future[FormatCheck] | FormatCheck] = []
        for step, form in enumerate(FORMATS.values(), start=1):
            progress(step, STEPS, f"Writing {form.title}")
            error = _write_format(form, model, folder)
            pending.append(
                FormatCheck(form.name, error=error)
                if error
                else pool.submit(check_format, form, folder, expected)
            )
        progress(len(FORMATS) + 1, STEPS, "Checking each format in a fresh process")
        return [each.result() if isinstance(each, Future) else each for each in pending]


def _write_format(form: ModelFormat, model: keras.Model, folder: Path) -> str:
    """Write one format; return why it failed, or "". A failure does not stop the others."""
    try:
        WRITERS[form.name](model, folder)
    except OSError:
        raise
    except Exception as error:  # converters raise whatever they like
        return f"It could not be written: {str(error)[:MAX_ERROR]}"
    return ""


def _write_program(run: Run, folder: Path) -> None:
    """Write predict.py and what it needs beside the model."""
    config = run.info.config
    labels = {"labels": run.classes, "size": config.size, "fit": config.fit, "run": run.info.id}
    (folder / "labels.json").write_text(json.dumps(labels, indent=1), encoding="utf-8")
    shutil.copyfile(bundle_predict.__file__, folder / "predict.py")


def _remove_failed(folder: Path, checks: Sequence[FormatCheck]) -> None:
    for check in checks:
        path = folder / FORMATS[check.format].file
        if check.included:
            continue
        if path.is_dir():
            shutil.rmtree(path)
        path.unlink(missing_ok=True)
    if not any(check.included for check in checks):
        errors = " ".join(f"{FORMATS[check.format].title}: {check.error}" for check in checks)
        raise RunError(
            f"Expected a format whose predictions are the page's. Received none. {errors} Train "
            "the run again, or send this message to whoever maintains this installation."
        )


def _write_texts(run: Run, folder: Path, checks: Sequence[FormatCheck], settings: Settings) -> None:
    versions = list_versions()
    rows = [asdict(check) | {"included": check.included} for check in checks]
    exact = "".join(f"{name}=={versions[name]}\n" for name in NEEDED)
    small = "".join(f"{name}=={versions[name]}\n" for name in NEEDED[:2])
    texts = {
        CHECKS: json.dumps(rows, indent=1),
        "MODEL_CARD.md": render_model_card(run, checks, versions, _test_accuracy(run, settings)),
        "requirements.txt": exact,
        "requirements-tflite.txt": f"{small}ai-edge-litert=={LITERT}\n",
    }
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")


def render_model_card(
    run: Run,
    checks: Sequence[FormatCheck],
    versions: Mapping[str, str],
    test: Proportion | None,
) -> str:
    """Return the model card in Markdown.

    Args:
        run: a run with a model.
        checks: of each format.
        versions: of the packages that wrote the formats.
        test: accuracy on the test split, where it is stored.
    """
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["cell"] = lambda text: text.replace("|", "\\|").replace("\n", " ")
    info, images = run.info, run.images.get("val", 0)
    validation = None
    if info.val_accuracy is not None and images:
        validation = proportion_of(round(info.val_accuracy * images), images)
    trained_with = read_provenance_or_default(info.folder).versions
    return environment.get_template("model_card.md.j2").render(
        run=run,
        title=title_run(info),
        trained=time.strftime("%d %B %Y", time.localtime(info.created)),
        size=info.config.size,
        formats=list(FORMATS),
        recipe=describe_recipe(run),
        test=test,
        validation=validation,
        chosen=info.best_epoch or info.config.patience,
        checks=[(check, FORMATS[check.format]) for check in checks],
        versions={name: versions.get(name, "–") for name in [*versions, *trained_with]},
        trained_with=trained_with,
        percent=percent,
        plural=plural,
    )


def _test_accuracy(run: Run, settings: Settings) -> Proportion | None:
    """Return the accuracy on the test split, if the run has one and has been evaluated on it."""
    if evaluated_split(run.info.id, settings) != "test":
        return None
    stored = stored_predictions(run.info.id, "test", settings)
    return proportion_of(int(stored.correct.sum()), len(stored)) if stored else None


def _pack(folder: Path, target: Path) -> None:
    beside = target.with_name(f".{target.name}.part")
    try:
        with ZipFile(beside, "w", ZIP_DEFLATED) as archive:
            for path in sorted(folder.rglob("*")):
                archive.write(path, path.relative_to(folder.parent))
        beside.replace(target)
    finally:
        beside.unlink(missing_ok=True)
