"""The export formats of a run: one table for the command line, the page and ``export``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from types import MappingProxyType

from tlcore.errors import UnknownName
from tlcore.jobs import Progress
from tlcore.settings import Settings
from tlcore.training.store import load_run_info


@dataclass(frozen=True)
class ExportFormat:
    """One kind of file that can be made of a run."""

    suffix: str  # of the file
    title: str
    purpose: str  # what it is for, one sentence
    duration: str  # how long it takes, in words
    mime: str
    writer: str  # "module:function" of (run, path, settings, progress); loaded where it is used


def export(
    run: str,
    path: Path,
    settings: Settings,
    progress: Progress = lambda done, total, message: None,
) -> Path:
    """Export a run as the format that the path's suffix names, whole or not at all.

    Args:
        run: the id of a run with a model.
        path: ends with a key of ``EXPORT_FORMATS``; it is returned.
        settings: where runs lie.
        progress: called before each step.

    Raises:
        RunError: no such run, or it has no model.
        StorageError: the file cannot be written.
        UnknownName: no format has this suffix.
    """
    if path.suffix not in EXPORT_FORMATS:
        raise UnknownName.of("suffix of an export", path.suffix, EXPORT_FORMATS)
    load_run_info(run, settings)  # a wrong id is refused before TensorFlow is loaded
    module, _, name = EXPORT_FORMATS[path.suffix].writer.partition(":")
    getattr(import_module(module), name)(run, path, settings, progress)
    return path


_TABLE = (
    ExportFormat(
        ".html",
        "Report",
        "All metrics with their intervals, the images it gets wrong and its limits, in one file "
        "that opens without a network and prints on A4.",
        "about half a minute",
        "text/html",
        "tlcore.exports.report:write_report",
    ),
    ExportFormat(
        ".zip",
        "Bundle",
        "The model for Keras, TensorFlow and phones with a program that predicts image files; each "
        "format is compared with this page's predictions.",
        "a minute or two",
        "application/zip",
        "tlcore.exports.bundle:write_bundle",
    ),
    ExportFormat(
        ".keras",
        "Keras model",
        "The model as one file for Python with Keras: pixels in, probabilities out.",
        "some seconds",
        "application/octet-stream",
        "tlcore.exports.bundle:write_keras_model",
    ),
    ExportFormat(
        ".py",
        "Script",
        "The run as one plain Keras script, with its split as JSON beside it.",
        "a moment",
        "text/x-python",
        "tlcore.exports.script:write_script",
    ),
    ExportFormat(
        ".ipynb",
        "Notebook",
        "The same as a notebook.",
        "a moment",
        "application/x-ipynb+json",
        "tlcore.exports.script:write_script",
    ),
)
EXPORT_FORMATS: Mapping[str, ExportFormat] = MappingProxyType({row.suffix: row for row in _TABLE})
