"""The images on which a format is compared with the page: the run's own, else drawn ones."""

from __future__ import annotations

import json
import shutil
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from types import MappingProxyType
from typing import Any
from zipfile import ZIP_DEFLATED, ZipFile

import keras
import numpy as np
import tensorflow as tf

from tlcore.datasets.dataset import Sample
from tlcore.datasets.image_io import read
from tlcore.datasets.sample import PAINTERS, draw_sample
from tlcore.errors import BadImage, RunError
from tlcore.evaluation.predictions import SplitPredictions, evaluated_split, stored_predictions
from tlcore.exports import predict
from tlcore.exports.bundle_card import card
from tlcore.exports.bundle_check import (
    CHECKS,
    FORMATS,
    ExpectedPredictions,
    Format,
    FormatCheck,
    check_format,
)
from tlcore.jobs import Progress
from tlcore.locks import remove_leftovers, work_folder
from tlcore.models.catalog import backbone
from tlcore.models.model import LoadedModel
from tlcore.settings import Limits, Settings
from tlcore.storage import check_output, explained_os_errors
from tlcore.training.provenance import list_samples, list_versions
from tlcore.training.run import Run, RunInfo
from tlcore.training.store import load_run
from tlcore.training.transfer_model import load_run_model, load_saved_model

IMAGES = 32  # that each format is compared on


def predict_expected(
    run: RunInfo, network: LoadedModel, folder: Path, limits: Limits
) -> ExpectedPredictions:
    """Return the page's answers for the run's validation images, spread over its classes.

    Where fewer than IMAGES can be read, drawn images make up the number.

    Args:
        run: whose images.
        network: as the page loads it.
        folder: takes the drawn ones.
        limits: of files that are read.
    """
    paths, rows = [], []
    for path in _candidates(run, folder):
        try:
            answer = network.predict(read(path, limits))
        except BadImage:
            continue
        paths.append(path)
        rows.append(answer.probabilities)
        if len(paths) == IMAGES:
            break
    return ExpectedPredictions(tuple(paths), np.stack(rows), network.labels)


def _candidates(run: RunInfo, folder: Path) -> Iterator[Path]:
    yield from (sample.path.resolve() for sample in spread(list_samples(run, "val")))
    for number in range(1, IMAGES + 1):
        for label in PAINTERS:
            path = folder / f"{label}-{number}.jpg"
            path.write_bytes(draw_sample(label, "train", number))
            yield path


def spread(samples: list[Sample], count: int = IMAGES) -> list[Sample]:
    """Return ``count`` samples at even distances first, then the others."""
    step = max(1, len(samples) / count)
    first = {int(place * step) for place in range(min(count, len(samples)))}
    chosen = [sample for place, sample in enumerate(samples) if place in first]
    return chosen + [sample for place, sample in enumerate(samples) if place not in first]


# A run's network with its preprocessing in front and every class behind, in plain Keras layers.
#
# No Lambda and no class of ours, so that the file loads with Keras alone in its safe mode.


# Of ImageNet, as keras.applications.imagenet_utils has them.
_CAFFE_MEAN = (103.939, 116.779, 123.68)  # blue, green, red; 0…255
_TORCH_MEAN = (0.485, 0.456, 0.406)  # red, green, blue; 0…1
_TORCH_DEVIATION = (0.229, 0.224, 0.225)


def build_deployable(trained: keras.Model, mode: str) -> keras.Model:
    """Return the model uint8 (n, size, size, 3) RGB → float32 (n, classes), each row sums to 1.

    Args:
        trained: float32 (n, size, size, 3), preprocessed → one sigmoid unit or a softmax.
        mode: how the backbone wants its pixels, a key of tlcore.models.catalog.MODES.
    """
    image = keras.Input(trained.input_shape[1:], dtype="uint8", name="image")
    answer = trained(PREPROCESSING[mode](image))
    if answer.shape[-1] == 1:
        answer = _both(answer)
    return keras.Model(image, answer, name="image_to_probabilities")


def _both(second: Any) -> Any:
    """A sigmoid unit says the second class; the first has what is left of 1."""
    first = keras.layers.Rescaling(-1.0, offset=1.0, name="first_class")(second)
    return keras.layers.Concatenate(name="both_classes")([first, second])


def _tf(image: Any) -> Any:
    return keras.layers.Rescaling(1 / 127.5, offset=-1.0, name="preprocessing")(image)


def _caffe(image: Any) -> Any:
    floats = keras.layers.Rescaling(1.0, name="as_float")(image)
    turned = keras.ops.flip(floats, axis=-1)  # RGB to BGR
    variance = (1.0,) * 3
    layer = keras.layers.Normalization(mean=_CAFFE_MEAN, variance=variance, name="preprocessing")
    return layer(turned)


def _torch(image: Any) -> Any:
    scaled = keras.layers.Rescaling(1 / 255, name="to_one")(image)
    variance = tuple(deviation**2 for deviation in _TORCH_DEVIATION)
    layer = keras.layers.Normalization(mean=_TORCH_MEAN, variance=variance, name="preprocessing")
    return layer(scaled)


def _inside(image: Any) -> Any:
    return keras.layers.Rescaling(1.0, name="as_float")(image)  # the network scales by itself


PREPROCESSING: Mapping[str, Callable[[Any], Any]] = MappingProxyType(
    {"tf": _tf, "caffe": _caffe, "torch": _torch, "inside": _inside}
)


# The network in each format, written by Keras' and TensorFlow's own means.


def write_keras(model: keras.Model, folder: Path) -> None:
    model.save(folder / FORMATS["keras"].file)


def write_saved_model(model: keras.Model, folder: Path) -> None:
    """One signature: "image" uint8 (n, size, size, 3) → "probabilities" (n, classes).

    By TensorFlow's own saver: Keras' export writes every weight twice.
    """
    module = tf.Module()
    module.weights = [variable.value for variable in model.variables]
    serve = tf.function(
        lambda image: {"probabilities": model(image, training=False)},
        input_signature=[tf.TensorSpec(model.input_shape, tf.uint8, name="image")],
    )
    path = str(folder / FORMATS["saved_model"].file)
    tf.saved_model.save(module, path, signatures={"serving_default": serve})


def write_tflite(model: keras.Model, folder: Path) -> None:
    """From the SavedModel, which must have been written before."""
    _tflite(folder, "tflite", [])


def write_tflite_int8(model: keras.Model, folder: Path) -> None:
    """The same with weights in 8 bits: dynamic-range quantisation, no images needed for it.

    https://ai.google.dev/edge/litert/conversion/tensorflow/quantization/post_training_quantization
    """
    _tflite(folder, "tflite-int8", [tf.lite.Optimize.DEFAULT])


def _tflite(folder: Path, name: str, optimizations: list[tf.lite.Optimize]) -> None:
    source = folder / FORMATS["saved_model"].file
    converter = tf.lite.TFLiteConverter.from_saved_model(str(source))
    converter.optimizations = optimizations
    (folder / FORMATS[name].file).write_bytes(converter.convert())


WRITERS: Mapping[str, Callable[[keras.Model, Path], None]] = MappingProxyType(
    {
        "keras": write_keras,
        "saved_model": write_saved_model,
        "tflite": write_tflite,
        "tflite-int8": write_tflite_int8,
    }
)


# The recipe of a bundle: load, write each format, compare it in a fresh process, pack.
#
# Conversion needs much memory and can die, so it belongs in a process of its own; the command
# line is one. Nothing appears under the target's name before all of it is there.


COMPARED = 2  # formats at a time, each in a process with a TensorFlow of its own
LITERT = "2.3.0"  # of ai-edge-litert, which reads TFLite without TensorFlow; held by a test
NEEDED = ("numpy", "pillow", "keras", "tensorflow")  # by predict.py, for every format


def write_bundle(
    run: str, target: Path, settings: Settings, progress: Progress
) -> list[FormatCheck]:
    """Write a run's bundle as a zip, whole or not at all.

    Args:
        run: the id of a run with a network.
        target: the zip.
        settings: where runs lie.
        progress: told each step before it begins.

    Returns:
        What came of each format.

    Raises:
        RunError: no such run, no network, or no format that agrees with the page.
        StorageError: nowhere to write, or no room.
    """
    found = load_run(run, settings)
    check_output(target)
    steps = _Steps(progress)
    remove_leftovers(settings.work)
    with (
        explained_os_errors(f"{target.name} could not be made"),
        work_folder(settings.work) as place,
    ):
        bundle, drawn = place / f"bundle-{run}", place / "drawn"
        bundle.mkdir()
        drawn.mkdir()
        steps.next("Asking the page's network")
        network = load_run_model(run, settings)
        pages = predict_expected(found.info, network, drawn, settings.limits)
        model = build_deployable(
            load_saved_model(found.info), backbone(found.info.config.backbone).mode
        )
        _describe(found, bundle)
        checks = _formats(model, bundle, pages, steps)
        _keep_what_is_offered(bundle, checks)
        steps.next("Packing")
        _write_words(found, bundle, checks, _kept_tests(run, settings))
        _pack(bundle, target)
    return checks


class _Steps:
    """Counts the steps: one before the formats, two for each, one after."""

    def __init__(self, progress: Progress) -> None:
        self._tell, self._behind = progress, 0
        self._all = 2 * len(FORMATS) + 2

    def next(self, words: str) -> None:
        self._tell(self._behind, self._all, words)
        self._behind += 1


def _formats(
    model: keras.Model, bundle: Path, pages: ExpectedPredictions, steps: _Steps
) -> list[FormatCheck]:
    """Write each format, and compare it while the next ones are written: both take seconds."""
    with ThreadPoolExecutor(COMPARED) as pool:
        comings = [_format(form, model, bundle, pages, pool, steps) for form in FORMATS.values()]
        checks = []
        for form, coming in zip(FORMATS.values(), comings, strict=True):
            steps.next(f"Comparing {form.title} in a fresh process")
            checks.append(coming() if callable(coming) else coming)
    return checks


def _format(
    form: Format,
    model: keras.Model,
    bundle: Path,
    pages: ExpectedPredictions,
    pool: Executor,
    steps: _Steps,
) -> FormatCheck | Callable[[], FormatCheck]:
    """Write one format and begin to compare it; what fails is named and does not stop the others.

    Returns:
        What waits for the comparison, or what was wrong already.
    """
    steps.next(f"Writing {form.title}")
    try:
        WRITERS[form.name](model, bundle)
    except OSError:
        raise
    except Exception as error:  # converters raise whatever they like
        return FormatCheck(form.name, error=f"It could not be written: {str(error)[:300]}")
    return pool.submit(check_format, form, bundle, pages).result


def _describe(run: Run, bundle: Path) -> None:
    """Write what predict.py needs, and predict.py."""
    config = run.info.config
    about = {"labels": run.classes, "size": config.size, "fit": config.fit, "run": run.info.id}
    (bundle / "labels.json").write_text(json.dumps(about, indent=1), encoding="utf-8")
    shutil.copyfile(predict.__file__, bundle / "predict.py")


def _keep_what_is_offered(bundle: Path, checks: Sequence[FormatCheck]) -> None:
    for each in checks:
        path = bundle / FORMATS[each.format].file
        if each.included:
            continue
        if path.is_dir():
            shutil.rmtree(path)
        path.unlink(missing_ok=True)
    if not any(each.included for each in checks):
        said = " ".join(f"{FORMATS[each.format].title}: {each.error}" for each in checks)
        raise RunError(
            f"Expected a format whose answers are the page's. Received none. {said} Train the run "
            "again, or send these words to whoever keeps this installation."
        )


def _kept_tests(run: str, settings: Settings) -> SplitPredictions | None:
    """Return the run's answers on its test part, if it has one and was asked before."""
    part = evaluated_split(run, settings)
    return stored_predictions(run, part, settings) if part == "test" else None


def _write_words(
    run: Run, bundle: Path, checks: Sequence[FormatCheck], tested: SplitPredictions | None
) -> None:
    here = list_versions()
    rows = [asdict(each) | {"offered": each.included} for each in checks]
    (bundle / CHECKS).write_text(json.dumps(rows, indent=1), encoding="utf-8")
    (bundle / "MODEL_CARD.md").write_text(card(run, checks, here, tested), encoding="utf-8")
    exact = "".join(f"{name}=={here[name]}\n" for name in NEEDED)
    (bundle / "requirements.txt").write_text(exact, encoding="utf-8")
    small = "".join(f"{name}=={here[name]}\n" for name in NEEDED[:2])
    (bundle / "requirements-tflite.txt").write_text(
        f"{small}ai-edge-litert=={LITERT}\n", encoding="utf-8"
    )


def _pack(bundle: Path, target: Path) -> None:
    beside = target.with_name(f".{target.name}.part")
    try:
        with ZipFile(beside, "w", ZIP_DEFLATED) as archive:
            for path in sorted(bundle.rglob("*")):
                archive.write(path, path.relative_to(bundle.parent))
        beside.replace(target)
    except zipfile.LargeZipFile as error:
        raise RunError(f"Expected a bundle that fits into a zip. Received: {error}.") from error
    finally:
        beside.unlink(missing_ok=True)
