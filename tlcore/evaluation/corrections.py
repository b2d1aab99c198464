"""Labels corrected between runs: how many, and the next run on the same splits.

A label that is corrected because a model disagrees with it makes the next metrics better than
those on anyone else's images: metrics are shown with the number of such labels.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

from tlcore.datasets.dataset import SPLIT_NAMES, SPLITS, UNLABELLED, Sample
from tlcore.datasets.edits import assign_splits
from tlcore.datasets.store import DatasetState, load_state
from tlcore.errors import BadDataset, DamagedFile
from tlcore.evaluation.comparison import Labels
from tlcore.evaluation.label_issues import LabelIssues
from tlcore.settings import Settings
from tlcore.text import plural
from tlcore.training.provenance import list_samples, read_splits
from tlcore.training.run import RunInfo, read_parent_run
from tlcore.training.store import list_runs


@dataclass(frozen=True)
class Corrections:
    """Labels of a run's images that were changed before it or since."""

    split: str  # on which the run is evaluated, one of SPLITS
    images: int  # of that split
    changed_before: int  # of them: label changed after an earlier run had been evaluated
    excluded_before: int  # images of an earlier run's same split that were excluded before this run
    changed_since: Mapping[str, int]  # split → labels changed since; empty without the dataset
    excluded_since: int  # images of this run excluded since, of all splits

    @property
    def sentences(self) -> tuple[str, ...]:
        """Sentences to show beside the metrics; none where no label was changed."""
        changed = f"{self.changed_before:,} of {plural(self.images, 'label')}"
        rows = (
            (self.changed_before, changed, "changed"),
            (self.excluded_before, plural(self.excluded_before, "image"), "excluded"),
        )
        lines = [
            f"{subject} of the {SPLIT_NAMES[self.split]} split {'was' if number == 1 else 'were'} "
            f"{what} after an earlier run had been evaluated: these metrics may be too good."
            for number, subject, what in rows
            if number
        ]
        since = {split: number for split, number in self.changed_since.items() if number}
        if since:
            splits = ", ".join(
                f"{number:,} {SPLIT_NAMES[split]}" for split, number in since.items()
            )
            lines.append(
                f"{plural(sum(since.values()), 'label')} corrected since this run ({splits}): "
                "these metrics go by the labels it was trained with."
            )
        return tuple(lines)


def load_run_dataset(info: RunInfo, settings: Settings) -> DatasetState | None:
    """Return the stored dataset of a run as it stands today.

    None for a folder read in place, and where the dataset has been deleted or renamed.
    """
    if info.config.dataset.startswith("/"):
        return None
    try:
        return load_state(info.config.dataset, settings)
    except BadDataset:
        return None


def current_labels(info: RunInfo, settings: Settings) -> Labels | None:
    """Return today's label of each image by its SHA-256; None without a stored dataset."""
    state = load_run_dataset(info, settings)
    return None if state is None else {i.sha256: i.label for i in reversed(state.included)}


def keep_splits(info: RunInfo, state: DatasetState, settings: Settings) -> int:
    """Assign a run's splits to its dataset, so that the next run is evaluated on the same images.

    A division by seed goes class by class: a single new label would draw another one. A dataset
    that has a validation split is left as it is. Returns the number of images in the edit.
    """
    if any(item.split == "val" for item in state.included):
        return 0
    splits = {s.key: split for split in ("train", "val") for s in list_samples(info, split)}
    keys = [item.key for item in state.included if item.split != splits.get(item.key, item.split)]
    if keys:
        changed = {key: splits[key] for key in keys}
        assign_splits(state.name, changed, f"keep the splits of run {info.id}", settings)
    return len(keys)


def corrected_run(info: RunInfo) -> str:
    """Return the run that this one repeats on corrected labels, or "" if none is readable."""
    try:
        return read_parent_run(info.folder)
    except DamagedFile:  # the run's own page names the file
        return ""


def count_corrections(info: RunInfo, split: str, settings: Settings) -> Corrections:
    """Count the labels changed before a run, after earlier evaluations, and since.

    Args:
        info: a run that has begun.
        split: on which it is evaluated, one of SPLITS.
        settings: where runs and datasets lie.
    """
    state = load_run_dataset(info, settings)
    since, excluded_since = ({}, 0) if state is None else count_changes(info, state)
    earlier = tuple(
        run.folder
        for run in list_runs(settings)
        if run.id < info.id and run.config.dataset == info.config.dataset and run.model
    )
    before = _count_before(info.folder, earlier, split)
    return Corrections(split, len(list_samples(info, split)), *before, since, excluded_since)


def count_changes(info: RunInfo, state: DatasetState) -> tuple[dict[str, int], int]:
    """Return how many labels of a run were changed since, by split, and how many images excluded.

    Renaming a whole class is no change.
    """
    samples = _samples_by_key(info.folder)
    changed, excluded = _compare_labels(samples, {item.key: item for item in state.included})
    return {split: sum(each.split == split for each in changed) for split in SPLITS}, len(excluded)


def drop_confirmed(issues: LabelIssues, state: DatasetState | None) -> LabelIssues:
    """Return label issues without those whose label a person has confirmed."""
    if state is None:
        return issues
    confirmed = {item.key for item in state.samples if item.is_confirmed}
    ranking = (
        replace(each, likely_wrong=each.likely_wrong and each.sample.key not in confirmed)
        for each in issues.ranking
    )
    return replace(issues, ranking=tuple(ranking))


@lru_cache(maxsize=256)  # the splits that a run has recorded do not change
def _count_before(folder: Path, earlier: tuple[Path, ...], split: str) -> tuple[int, int]:
    """Return how many labels of a split differ from the earliest run that has the image, and how
    many images of that split of an earlier run are no longer there; the newest of ``earlier``
    comes first."""
    own, first = _samples_by_key(folder), dict[str, Sample]()
    for each in earlier:
        first |= _samples_by_key(each)
    changed, excluded = _compare_labels(first, own)
    classes = {sample.label for sample in own.values()}
    gone = [each for each in excluded if each.split == split and each.label in classes]
    return sum(own[sample.key].split == split for sample in changed), len(gone)


def _samples_by_key(folder: Path) -> dict[str, Sample]:
    """Return the images of a run by their key; none where the file is damaged."""
    try:
        splits = read_splits(folder)
    except DamagedFile:
        return {}
    return {sample.key: sample for sample in (*splits.train, *splits.val, *splits.test)}


def _compare_labels(
    old: Mapping[str, Sample], new: Mapping[str, Sample]
) -> tuple[list[Sample], list[Sample]]:
    """Return the old samples whose label was corrected, and those that are gone.

    The new name of a whole class is no correction: then neither the old label is one of today's
    classes nor the new label one of the classes before.
    """
    before = {sample.label for sample in old.values()}
    now = {sample.label for sample in new.values()} - {UNLABELLED}
    changed = [
        sample
        for key, sample in old.items()
        if key in new
        and new[key].label != sample.label
        and (sample.label in now or new[key].label in before)
    ]
    return changed, [sample for key, sample in old.items() if key not in new]
