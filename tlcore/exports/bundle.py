"""Bundle of a run: its model in several formats, each checked, with a program and a model card.

Conversion needs much memory and can die, so it belongs in a process of its own: the command line
is one. Nothing appears under the target's name before all of it is there.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict
from itertools import chain
from pathlib import Path
from typing import Any
from zipfile import ZIP_DEFLATED, ZipFile

import keras
import numpy as np
import tensorflow as tf

from tlcore.datasets.image_io import read_image
from tlcore.datasets.sample_dataset import PAINTERS, draw_sample
from tlcore.errors import BadImage, RunError
from tlcore.evaluation.intervals import proportion_of
from tlcore.evaluation.split_predictions import evaluated_split, predict_split
from tlcore.exports import bundle_check, bundle_predict
from tlcore.exports.bundle_check import FORMATS, FormatCheck, ModelFormat
from tlcore.exports.recipe_text import describe_recipe, template_environment
from tlcore.jobs import Progress
from tlcore.models.catalog import get_backbone
from tlcore.models.predictions import Floats
from tlcore.percentages import percent
from tlcore.settings import Settings
from tlcore.storage import check_output, explained_os_errors, remove_leftovers, work_folder
from tlcore.text import plural
from tlcore.training.provenance import list_samples, list_versions, read_provenance_or_default
from tlcore.training.run import Run, RunInfo, title_run
from tlcore.training.store import load_run
from tlcore.training.transfer_model import load_run_model, load_saved_model

IMAGES = 32  # on which each format is compared
COMPARED = 2  # formats at a time, each in a process with a TensorFlow of its own
LITERT = "2.3.0"  # of ai-edge-litert, which reads TFLite without TensorFlow; held by a test
NEEDED = ("numpy", "pillow", "pillow-heif", "keras", "tensorflow")  # by predict.py
STEPS = len(FORMATS) + 3
# Of ImageNet, as keras.applications.imagenet_utils has them.
_CAFFE_MEAN = (103.939, 116.779, 123.68)  # blue, green, red; 0…255
_TORCH_MEAN = (0.485, 0.456, 0.406)  # red, green, blue; 0…1
_TORCH_DEVIATION = (0.229, 0.224, 0.225)


def write_bundle(run: str, path: Path, settings: Settings, progress: Progress) -> list[FormatCheck]:
    """Write a run's bundle as a zip and return the check of each format. See ``export``.

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
        folder = place / f"bundle-{run}"
        folder.mkdir()
        progress(0, STEPS, "Predicting with the page's model")
        images, expected = _predict_expected(loaded.info, place, settings)
        config = loaded.info.config
        labels = {"labels": loaded.classes, "size": config.size, "fit": config.fit, "run": run}
        (folder / "labels.json").write_text(json.dumps(labels, indent=1), encoding="utf-8")
        shutil.copyfile(bundle_predict.__file__, folder / "predict.py")
        errors = _write_formats(_build_run_model(loaded.info), folder, progress)
        progress(len(FORMATS) + 1, STEPS, "Checking each format in a fresh process")

        def check(form: ModelFormat) -> FormatCheck:
            if errors[form.name]:
                return FormatCheck(form.name, error=errors[form.name])
            return bundle_check.check_format(form, folder, images, expected)

        with ThreadPoolExecutor(COMPARED) as pool:
            checks = list(pool.map(check, FORMATS.values()))
        _remove_failed(folder, checks)
        progress(STEPS - 1, STEPS, "Packing")
        _write_texts(loaded, folder, checks, settings)
        with _replacing(path) as beside, ZipFile(beside, "w", ZIP_DEFLATED) as archive:
            for file in sorted(folder.rglob("*")):
                archive.write(file, file.relative_to(place))
    return checks


def write_keras_model(run: str, path: Path, settings: Settings, progress: Progress) -> None:
    """Write a run's model as one .keras file: uint8 pixels in, probabilities out. See ``export``.

    Raises:
        RunError: no such run, or no model.
        StorageError: the file cannot be written.
    """
    loaded = load_run(run, settings)
    check_output(path)
    progress(0, 1, "Writing the model")
    with explained_os_errors(f"{path.name} could not be written"), _replacing(path) as beside:
        _build_run_model(loaded.info).save(beside)


def build_deployable(trained: keras.Model, mode: str) -> keras.Model:
    """Return the model uint8 (n, size, size, 3) RGB → float32 (n, classes), each row sums to 1.

    Preprocessing is in front and every class behind, in plain Keras layers: no Lambda and no class
    of ours, so that the file loads with Keras alone in its safe mode.

    Args:
        trained: float32 (n, size, size, 3), preprocessed → one sigmoid unit or a softmax.
        mode: how the backbone wants its pixels, a key of tlcore.models.catalog.MODES.
    """
    image = keras.Input(trained.input_shape[1:], dtype="uint8", name="image")
    probabilities = trained(_preprocess(image, mode))
    if probabilities.shape[-1] == 1:  # a sigmoid unit is the second class
        first = keras.layers.Rescaling(-1.0, offset=1.0, name="first_class")(probabilities)
        both = keras.layers.Concatenate(name="both_classes")
        probabilities = both([first, probabilities])
    return keras.Model(image, probabilities, name="image_to_probabilities")


def write_format(name: str, model: keras.Model, folder: Path) -> None:
    """Write a model in one format; a TFLite one from the SavedModel, which must be there.

    The SavedModel has one signature, "image" uint8 (n, size, size, 3) → "probabilities"
    (n, classes), and is written by TensorFlow's own saver: Keras' export writes every weight twice.
    "tflite-int8" has weights in 8 bits by dynamic-range quantisation, which needs no images:
    https://ai.google.dev/edge/litert/conversion/tensorflow/quantization/post_training_quantization
    """
    path, saved = folder / FORMATS[name].file, str(folder / FORMATS["saved_model"].file)
    if name == "keras":
        model.save(path)
    elif name == "saved_model":
        module = tf.Module()
        module.weights = [variable.value for variable in model.variables]
        serve = tf.function(
            lambda image: {"probabilities": model(image, training=False)},
            [tf.TensorSpec(model.input_shape, tf.uint8, name="image")],
            autograph=False,
        )
        tf.saved_model.save(module, saved, signatures={"serving_default": serve})
    else:
        converter = tf.lite.TFLiteConverter.from_saved_model(saved)
        converter.optimizations = [tf.lite.Optimize.DEFAULT] if name == "tflite-int8" else []
        path.write_bytes(converter.convert())


def _preprocess(image: Any, mode: str) -> Any:
    layers = keras.layers
    if mode == "tf":
        return layers.Rescaling(1 / 127.5, offset=-1.0, name="preprocessing")(image)
    if mode == "torch":
        scaled = layers.Rescaling(1 / 255, name="to_one")(image)
        variance = tuple(deviation**2 for deviation in _TORCH_DEVIATION)
        return layers.Normalization(mean=_TORCH_MEAN, variance=variance)(scaled)
    floats = layers.Rescaling(1.0, name="as_float")(image)
    if mode == "inside":  # the backbone scales by itself
        return floats
    blue_first = keras.ops.flip(floats, axis=-1)
    return layers.Normalization(mean=_CAFFE_MEAN, variance=(1.0,) * 3)(blue_first)


@contextmanager
def _replacing(path: Path) -> Iterator[Path]:
    """Yield a file beside ``path``, which takes its name once it is complete."""
    beside = path.with_name(f".part-{path.name}")
    try:
        yield beside
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)


def _build_run_model(info: RunInfo) -> keras.Model:
    return build_deployable(load_saved_model(info), get_backbone(info.config.backbone).mode)


def _predict_expected(run: RunInfo, place: Path, settings: Settings) -> tuple[list[Path], Floats]:
    """Return validation images, spread over the classes, and the page's (n, classes) predictions.

    Where fewer than IMAGES can be read, drawn images, which ``place`` takes, make up the number.
    """
    model, predicted = load_run_model(run.id, settings), {}
    samples = list_samples(run, "val")
    step = max(1, len(samples) // IMAGES)  # they come class by class
    validation = (sample.path.resolve() for sample in samples[::step])
    for path in chain(validation, _draw_images(place)):
        try:
            predicted[path] = model.predict(read_image(path, settings.limits)).probabilities
        except BadImage:
            continue
        if len(predicted) == IMAGES:
            break
    return list(predicted), np.stack(list(predicted.values()))


def _draw_images(place: Path) -> Iterator[Path]:
    for number in range(1, IMAGES + 1):
        for label in PAINTERS:
            path = place / f"{label}-{number}.jpg"
            path.write_bytes(draw_sample(label, "train", number))
            yield path


def _write_formats(model: keras.Model, folder: Path, progress: Progress) -> dict[str, str]:
    """Write each format; return why it failed, or "". A failure does not stop the others."""
    errors = dict.fromkeys(FORMATS, "")
    for step, form in enumerate(FORMATS.values(), start=1):
        progress(step, STEPS, f"Writing {form.title}")
        try:
            write_format(form.name, model, folder)
        except OSError:
            raise
        except Exception as error:  # converters raise whatever they like
            errors[form.name] = f"It could not be written: {str(error)[: bundle_check.MAX_ERROR]}"
    return errors


def _remove_failed(folder: Path, checks: Sequence[FormatCheck]) -> None:
    for check in checks:
        path = folder / FORMATS[check.format].file
        if not check.included:
            shutil.rmtree(path, ignore_errors=True)  # SavedModel is a folder
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
    exact = [f"{name}=={versions[name]}" for name in NEEDED]
    small = [*exact[:3], f"ai-edge-litert=={LITERT}"]
    texts = {
        bundle_check.CHECKS: json.dumps(rows, indent=1),
        "MODEL_CARD.md": _render_model_card(run, checks, versions, settings),
        "requirements.txt": "\n".join(exact) + "\n",
        "requirements-tflite.txt": "\n".join(small) + "\n",
    }
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")


def _render_model_card(
    run: Run, checks: Sequence[FormatCheck], versions: dict[str, str], settings: Settings
) -> str:
    info, images = run.info, run.info.images.get("val", 0)
    test = validation = None
    if evaluated_split(info.id, settings) == "test":
        predictions = predict_split(info.id, "test", settings)
        if len(predictions):
            test = proportion_of(int(predictions.correct.sum()), len(predictions))
    if info.val_accuracy is not None and images:
        validation = proportion_of(round(info.val_accuracy * images), images)
    trained_with = read_provenance_or_default(info.folder).versions
    environment = template_environment()
    environment.filters["cell"] = lambda text: text.replace("|", "\\|").replace("\n", " ")
    return environment.get_template("model_card.md.j2").render(
        run=run,
        title=title_run(info),
        trained=time.strftime("%d %B %Y", time.localtime(info.created)),
        recipe=describe_recipe(run),
        test=test,
        validation=validation,
        checks=[(check, FORMATS[check.format]) for check in checks],
        versions={name: versions.get(name, "–") for name in [*versions, *trained_with]},
        trained_with=trained_with,
        percent=percent,
        plural=plural,
    )
