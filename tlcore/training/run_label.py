"""The label of a run: what a person tells it apart by in every list, menu, legend and title."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
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
    for form in ("%d %b %H:%M", "%d %b %H:%M:%S", ""):
        times = Counter(labels.values())
        for run in [run for run, label in labels.items() if times[label] > 1]:
            lead, rest = parts[run]
            labels[run] = _joined([*lead, _started(run, form), *rest])
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
    rest = [dataset_title(config.dataset), config.backbone]
    if config.fine_tune_epochs and not 0 < info.kept_epoch <= config.epochs:
        rest.append("top blocks too")  # the best epoch is not one of the head alone
    if info.corrects:
        rest.append("corrected labels")
    if config.random_weights:
        rest.append("random weights")
    return rest


def _joined(parts: Iterable[str]) -> str:
    """Join parts with dots between them; blanks are single, as a browser shows them."""
    return " · ".join(" ".join(part.split()) for part in parts)


def _started(run: str, form: str) -> str:
    """Return the start of a run, which its id begins with; without a form, or of another id, the
    id itself."""
    try:
        moment = datetime.strptime(run[:15], "%Y%m%d-%H%M%S")
    except ValueError:
        return run
    return moment.strftime(form).lstrip("0") or run
