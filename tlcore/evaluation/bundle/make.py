"""The recipe of a bundle: load, write each format, compare it in a fresh process, pack.

Conversion needs much memory and can die, so it belongs in a process of its own; the command line
is one. Nothing appears under the target's name before all of it is there.
"""

from __future__ import annotations

import json
import shutil
import zipfile
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile

import keras

from tlcore.datasets.locks import sweep, workplace
from tlcore.errors import RunError
from tlcore.evaluation.bundle import predict
from tlcore.evaluation.bundle.card import card
from tlcore.evaluation.bundle.check import CHECKS, Check, Pages, check
from tlcore.evaluation.bundle.convert import WRITERS
from tlcore.evaluation.bundle.formats import FORMATS, Format
from tlcore.evaluation.bundle.graph import deployable
from tlcore.evaluation.bundle.pictures import pages_of
from tlcore.evaluation.judged import Judged
from tlcore.evaluation.predictions import judging_part, kept
from tlcore.evaluation.progress import Progress
from tlcore.models.catalogue import backbone
from tlcore.settings import Settings
from tlcore.storage import check_output, explained_os_errors
from tlcore.training.facts import versions
from tlcore.training.run import Run
from tlcore.training.store import load_run
from tlcore.training.trained import load_saved, load_trained

COMPARED = 2  # formats at a time, each in a process with a TensorFlow of its own
LITERT = "2.3.0"  # of ai-edge-litert, which reads TFLite without TensorFlow; held by a test
NEEDED = ("numpy", "pillow", "keras", "tensorflow")  # by predict.py, for every format


def make_bundle(run: str, target: Path, settings: Settings, progress: Progress) -> list[Check]:
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
    sweep(settings.making)
    with (
        explained_os_errors(f"{target.name} could not be made"),
        workplace(settings.making) as place,
    ):
        bundle, drawn = place / f"bundle-{run}", place / "drawn"
        bundle.mkdir()
        drawn.mkdir()
        steps.next("Asking the page's network")
        network = load_trained(run, settings)
        pages = pages_of(found.info, network, drawn, settings.limits)
        model = deployable(load_saved(found.info), backbone(found.info.config.backbone).mode)
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


def _formats(model: keras.Model, bundle: Path, pages: Pages, steps: _Steps) -> list[Check]:
    """Write each format, and compare it while the next ones are written: both take seconds."""
    with ThreadPoolExecutor(COMPARED) as pool:
        comings = [_format(form, model, bundle, pages, pool, steps) for form in FORMATS.values()]
        checks = []
        for form, coming in zip(FORMATS.values(), comings, strict=True):
            steps.next(f"Comparing {form.title} in a fresh process")
            checks.append(coming() if callable(coming) else coming)
    return checks


def _format(
    form: Format, model: keras.Model, bundle: Path, pages: Pages, pool: Executor, steps: _Steps
) -> Check | Callable[[], Check]:
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
        return Check(form.name, fault=f"It could not be written: {str(error)[:300]}")
    return pool.submit(check, form, bundle, pages).result


def _describe(run: Run, bundle: Path) -> None:
    """Write what predict.py needs, and predict.py."""
    config = run.info.config
    about = {"labels": run.classes, "size": config.size, "fit": config.fit, "run": run.info.id}
    (bundle / "labels.json").write_text(json.dumps(about, indent=1), encoding="utf-8")
    shutil.copyfile(predict.__file__, bundle / "predict.py")


def _keep_what_is_offered(bundle: Path, checks: Sequence[Check]) -> None:
    for each in checks:
        path = bundle / FORMATS[each.format].file
        if each.offered:
            continue
        if path.is_dir():
            shutil.rmtree(path)
        path.unlink(missing_ok=True)
    if not any(each.offered for each in checks):
        said = " ".join(f"{FORMATS[each.format].title}: {each.fault}" for each in checks)
        raise RunError(
            f"Expected a format whose answers are the page's. Received none. {said} Train the run "
            "again, or send these words to whoever keeps this installation."
        )


def _kept_tests(run: str, settings: Settings) -> Judged | None:
    """Return the run's answers on its test part, if it has one and was asked before."""
    part = judging_part(run, settings)
    return kept(run, part, settings) if part == "test" else None


def _write_words(run: Run, bundle: Path, checks: Sequence[Check], tested: Judged | None) -> None:
    here = versions()
    rows = [asdict(each) | {"offered": each.offered} for each in checks]
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
