"""From a mended set to the next run: the same recipe, the same parts, the labels as they stand."""

from __future__ import annotations

from dataclasses import asdict

from tlcore.datasets.edits.editing import assign
from tlcore.datasets.edits.state import SetState
from tlcore.datasets.store import load_state
from tlcore.errors import BadDataset, DamagedFile
from tlcore.evaluation.comparison import Labels
from tlcore.settings import Settings
from tlcore.storage import write_json
from tlcore.training.parts import pictures_of
from tlcore.training.records import AFTER, After, read_after
from tlcore.training.run import RunInfo


def set_of(info: RunInfo, settings: Settings) -> SetState | None:
    """Return the stored set that a run learned from as it stands, or None.

    There is none for a folder read in place, nor where the set has been deleted or renamed.
    """
    if info.config.dataset.startswith("/"):
        return None
    try:
        return load_state(info.config.dataset, settings)
    except BadDataset:
        return None


def labels_now(info: RunInfo, settings: Settings) -> Labels | None:
    """Return the present label of each picture used, by sha256; None without a stored set."""
    state = set_of(info, settings)
    return None if state is None else {i.entry.sha256: i.label for i in reversed(state.used)}


def keep_parts(info: RunInfo, state: SetState, settings: Settings) -> int:
    """Store a run's division with its set, so that the next run is judged by the same pictures.

    A division by seed goes class by class: a single new label would draw another one. A set that
    is divided already is left as it is. One edit, undone like any other.

    Returns:
        How many pictures have been given a part.
    """
    if any(item.split == "val" for item in state.used):
        return 0
    parts = {s.key: part for part in ("train", "val") for s in pictures_of(info, part)}
    given = {i.key: parts[i.key] for i in state.used if i.key in parts and i.split != parts[i.key]}
    if given:
        assign(state.name, dict(given), f"keep the parts of run {info.id}", settings)
    return len(given)


def note_after(later: RunInfo, earlier: str) -> None:
    """Write down which run's mistakes led to a run."""
    write_json(later.folder / AFTER, asdict(After(earlier)))


def came_after(info: RunInfo) -> str:
    """Return the run whose mistakes led to this one, or ""; also where that cannot be read."""
    try:
        return read_after(info.folder).run
    except DamagedFile:  # the run's own page says so
        return ""
