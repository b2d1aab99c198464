"""All that a report says, gathered before a word of it is written."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tlcore.datasets.dataset import SPLITS, Sample
from tlcore.datasets.doctor.checkup import Checkup
from tlcore.datasets.doctor.examine import examine, examine_folder
from tlcore.errors import BadDataset
from tlcore.evaluation.again import set_of
from tlcore.evaluation.corrections import Corrections, corrections_of, without_confirmed
from tlcore.evaluation.evaluation import Evaluation
from tlcore.evaluation.judged import Judged
from tlcore.evaluation.label_issues import LabelIssues
from tlcore.settings import Settings
from tlcore.training.parts import pictures_of
from tlcore.training.records import RunFacts, facts_or_none
from tlcore.training.run import Run
from tlcore.training.run_label import run_labels
from tlcore.training.store import list_runs


@dataclass(frozen=True, eq=False)
class Material:
    """One run, judged, with its data set as it stands."""

    run: Run
    title: str
    evaluation: Evaluation
    judged: Judged  # the pictures that the evaluation counts
    train: tuple[Sample, ...]
    counts: dict[str, dict[str, int]]  # part → class → pictures, as the run divided them
    checkup: Checkup | None  # None: the data set is gone
    suspects: LabelIssues | None  # None: not known
    corrections: Corrections  # labels changed after a model had answered
    facts: RunFacts  # versions, machine, seed and data hash, as the run noted them
    made: float  # s since 1970


def gather(
    run: Run,
    evaluation: Evaluation,
    judged: Judged,
    suspects: LabelIssues | None,
    settings: Settings,
) -> Material:
    """Gather what a report says of a run.

    Args:
        run: with a network.
        evaluation: its numbers.
        judged: the answers that they count.
        suspects: labels that may be wrong, where that is known.
        settings: where the data set lies.
    """
    samples = {part: pictures_of(run.info, part) for part in SPLITS}
    if judged.part == "test":
        samples["test"] = list(judged.samples)
    return Material(
        run=run,
        title=run_labels(list_runs(settings), accuracy=False)[run.info.id],
        evaluation=evaluation,
        judged=judged,
        train=tuple(samples["train"]),
        counts={part: _counted(found, run.classes) for part, found in samples.items() if found},
        checkup=_checkup(run.info.config.dataset, settings),
        suspects=suspects and without_confirmed(suspects, set_of(run.info, settings)),
        corrections=corrections_of(run.info, judged.part, settings),
        facts=facts_or_none(run.info.folder),
        made=time.time(),
    )


def _counted(samples: Sequence[Sample], classes: Sequence[str]) -> dict[str, int]:
    found = Counter(sample.label for sample in samples)
    return {label: found[label] for label in classes}


def _checkup(dataset: str, settings: Settings) -> Checkup | None:
    path = Path(dataset)
    try:
        if path.is_absolute():
            return examine_folder(path, settings.limits)
        return examine(dataset, settings)
    except BadDataset:  # gone since
        return None
