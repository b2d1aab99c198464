"""The label of a run: what a person tells it apart by in every list, menu, legend and title."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime

from tlcore.datasets.sample import dataset_title
from tlcore.percentages import percent
from tlcore.training.records import DamagedRun
from tlcore.training.run import RunInfo

Listed = RunInfo | DamagedRun


def run_labels(infos: Iterable[Listed], *, accuracy: bool = True) -> dict[str, str]:
    """Return a label for each run by its id, unique within the list.

    "92% · ants and bees · MobileNetV2 · top blocks too". Where two would read alike, each of them
    also says when it was started, to the minute or the second, or in the end its id: in front,
    where a narrow menu does not cut it off.

    Args:
        infos: all runs of the workspace, so that a run has the same label on every page.
        accuracy: whether the validation accuracy is part of it. A report leaves it out: it may
            be judged by another split.
    """
    runs = {info.id: info for info in infos}
    parts = {run: (_lead(info, accuracy=accuracy), _rest(info)) for run, info in runs.items()}
    labels = {run: _joined([*lead, *rest]) for run, (lead, rest) in parts.items()}
    ways: Sequence[Callable[[str], str]] = (_minute, _second, str)
    for when in ways:
        times = Counter(labels.values())
        alike = [run for run, label in labels.items() if times[label] > 1]
        for run in alike:
            lead, rest = parts[run]
            labels[run] = _joined([*lead, when(run), *rest])
    return labels


def run_title(info: RunInfo) -> str:
    """Return what a run is called without its accuracy and time; several may be called so."""
    return _joined([*_lead(info, accuracy=False), *_rest(info)])


def _lead(info: Listed, *, accuracy: bool) -> list[str]:
    if isinstance(info, DamagedRun):
        return []
    lead = [info.notes.name] if info.notes.name else []
    if accuracy and info.val_accuracy is not None:
        lead.append(percent(info.val_accuracy))
    return lead


def _rest(info: Listed) -> list[str]:
    if isinstance(info, DamagedRun):
        return ["damaged", info.id]
    config = info.config
    said = [dataset_title(config.dataset), config.backbone]
    if config.fine_tune_epochs:
        said.append("top blocks too")
    if info.corrects:
        said.append("corrected labels")
    if config.random_weights:
        said.append("random weights")
    return said


def _joined(parts: Iterable[str]) -> str:
    """Join parts with dots between them; blanks are single, as a browser shows them."""
    return " · ".join(" ".join(part.split()) for part in parts)


def _minute(run: str) -> str:
    return _started(run, "%d %b %H:%M")


def _second(run: str) -> str:
    return _started(run, "%d %b %H:%M:%S")


def _started(run: str, form: str) -> str:
    """Return the start of a run, which its id begins with; of another id the id itself."""
    try:
        moment = datetime.strptime(run[:15], "%Y%m%d-%H%M%S")
    except ValueError:
        return run
    return f"{moment:{form}}".lstrip("0")
