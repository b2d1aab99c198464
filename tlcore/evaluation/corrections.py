"""From a mended set to the next run: the same recipe, the same parts, the labels as they stand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from pathlib import Path

from tlcore.datasets.dataset import SPLIT_NAMES, SPLITS, entry_key
from tlcore.datasets.edits import DatasetState, assign
from tlcore.datasets.store import load_state
from tlcore.errors import BadDataset, DamagedFile
from tlcore.evaluation.comparison import Labels
from tlcore.evaluation.label_issues import LabelIssues
from tlcore.settings import Settings
from tlcore.storage import write_json
from tlcore.text import count
from tlcore.training.provenance import list_samples, read_classes
from tlcore.training.records import PARENT_RUN, After, read_after, read_split
from tlcore.training.run import RunInfo
from tlcore.training.store import list_runs


def load_run_dataset(info: RunInfo, settings: Settings) -> DatasetState | None:
    """Return the stored set that a run learned from as it stands, or None.

    There is none for a folder read in place, nor where the set has been deleted or renamed.
    """
    if info.config.dataset.startswith("/"):
        return None
    try:
        return load_state(info.config.dataset, settings)
    except BadDataset:
        return None


def current_labels(info: RunInfo, settings: Settings) -> Labels | None:
    """Return the present label of each image used, by sha256; None without a stored set."""
    state = load_run_dataset(info, settings)
    return None if state is None else {i.entry.sha256: i.label for i in reversed(state.used)}


def keep_splits(info: RunInfo, state: DatasetState, settings: Settings) -> int:
    """Store a run's division with its set, so that the next run is judged by the same images.

    A division by seed goes class by class: a single new label would draw another one. A set that
    is divided already is left as it is. One edit, undone like any other.

    Returns:
        How many images have been given a part.
    """
    if any(item.split == "val" for item in state.used):
        return 0
    parts = {s.key: part for part in ("train", "val") for s in list_samples(info, part)}
    given = {i.key: parts[i.key] for i in state.used if i.key in parts and i.split != parts[i.key]}
    if given:
        assign(state.name, dict(given), f"keep the parts of run {info.id}", settings)
    return len(given)


def save_corrected_run(later: RunInfo, earlier: str) -> None:
    """Write down which run's mistakes led to a run."""
    write_json(later.folder / PARENT_RUN, asdict(After(earlier)))


def corrected_run(info: RunInfo) -> str:
    """Return the run whose mistakes led to this one, or ""; also where that cannot be read."""
    try:
        return read_after(info.folder).run
    except DamagedFile:  # the run's own page says so
        return ""


# Labels that a person changed after a model had answered, and what they do to its figures.
#
# A label that is corrected because a model disagrees with it makes the next figures better than a
# stranger's images would: every figure is shown with the number of such labels.


@dataclass(frozen=True)
class Corrections:
    """Labels of a run's images that differ from what they were before, or are now."""

    split: str  # by which the run is judged, one of SPLITS
    images: int  # images of that part
    changed_before: int  # of them, whose label was changed after an earlier run had answered
    excluded_before: int  # images of an earlier run's same part that were excluded before this run
    changed_since: Mapping[
        str, int
    ]  # part → labels changed since this run; empty where that is not known
    excluded_since: int  # images of this run excluded since, of all parts

    @property
    def relabelled(self) -> int:
        """Labels changed since this run, of all parts."""
        return sum(self.changed_since.values())

    @property
    def sentences(self) -> tuple[str, ...]:
        """What has to be said beside the figures; none where no label was changed."""
        part, lines = SPLIT_NAMES[self.split], []
        if self.changed_before:
            lines.append(
                f"{self.changed_before:,} of {count(self.images, 'label')} {_were(self.changed_before)} changed "  # noqa: E501
                f"after seeing this model's answers (those of an earlier run, on the {part} part): "
                "these figures may be too good."
            )
        if self.excluded_before:
            lines.append(
                f"{count(self.excluded_before, 'image')} of the {part} part {_were(self.excluded_before)} excluded "  # noqa: E501
                "after an earlier run had answered: these figures may be too good."
            )
        if self.relabelled:
            where = ", ".join(
                f"{n:,} {SPLIT_NAMES[part]}" for part, n in self.changed_since.items() if n
            )
            lines.append(
                f"{count(self.relabelled, 'label')} corrected since this run ({where}): these "
                "figures go by the labels it was trained with."
            )
        return tuple(lines)


def count_corrections(info: RunInfo, part: str, settings: Settings) -> Corrections:
    """Return what was corrected before a run, after earlier answers, and since.

    Args:
        info: a run that has begun.
        part: by which it is judged, one of SPLITS.
        settings: where runs and datasets lie.
    """
    state = load_run_dataset(info, settings)
    since, excluded = ({}, 0) if state is None else count_changes(info, state)
    earlier = (
        run
        for run in list_runs(settings)
        if run.id < info.id and run.config.dataset == info.config.dataset
    )
    folders = tuple(run.folder for run in earlier if run.model)
    before, dropped = _before(info.folder, folders, part)
    judged = len(list_samples(info, part))
    return Corrections(part, judged, before, dropped, since, excluded)


def count_changes(info: RunInfo, state: DatasetState) -> tuple[dict[str, int], int]:
    """Return how many labels of a run were changed since, by part, and how many images excluded.

    A class that was given another name as a whole counts as nothing.
    """
    then, now = set(read_classes(info)), set(state.counts)
    relabelled, excluded = dict.fromkeys(SPLITS, 0), 0
    for part in SPLITS:
        for sample in list_samples(info, part):
            item = state.by_key.get(sample.key)
            if item is None or item.excluded:
                excluded += 1
            elif _corrected(sample.label, item.label, then, now):
                relabelled[part] += 1
    return relabelled, excluded


def drop_confirmed(issues: LabelIssues, state: DatasetState | None) -> LabelIssues:
    """Return label issues without doubt where a person has confirmed the label."""
    if state is None:
        return issues
    confirmed = {item.key for item in state.items if item.confirmed}
    ranking = (
        replace(each, likely_wrong=each.likely_wrong and each.sample.key not in confirmed)
        for each in issues.ranking
    )
    return replace(issues, ranking=tuple(ranking))


@lru_cache(maxsize=256)  # what a run noted of its images does not change
def _before(folder: Path, earlier: tuple[Path, ...], part: str) -> tuple[int, int]:
    """Return how many labels of a part differ from the earliest run that noted them, and how many
    images of that part of an earlier run are no longer in the run."""
    own, classes = _noted(folder)
    first: dict[str, tuple[str, str]] = {}
    then: set[str] = set()
    for each in earlier:  # newest first, so that the earliest has the last word
        rows, its = _noted(each)
        first |= rows
        then |= its
    changed = sum(
        split == part and key in first and _corrected(first[key][1], label, then, classes)
        for key, (split, label) in own.items()
    )
    gone = (label for key, (split, label) in first.items() if key not in own and split == part)
    return changed, sum(label in classes for label in gone)


def _noted(folder: Path) -> tuple[dict[str, tuple[str, str]], set[str]]:
    """Return split and label of each image of a run by its key, and the run's classes; nothing of
    a damaged file."""
    try:
        noted = read_split(folder)
    except DamagedFile:
        return {}, set()
    rows = {
        entry_key(row.file, row.sha256): (split, row.label)
        for split in SPLITS
        for row in noted.rows(split)
    }
    return rows, set(noted.classes)


def _corrected(old: str, new: str, then: set[str], now: set[str]) -> bool:
    """Whether another label is a correction, and not another name of a whole class."""
    return old != new and (old in now or new in then)


def _were(number: int) -> str:
    return "was" if number == 1 else "were"
