"""What a person does to a stored dataset: relabel, exclude, assign splits, dismiss, undo.

Every function takes the dataset's name, waits for other processes that change the dataset, and
returns it as it then stands. Image files are never touched.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from datetime import UTC, datetime

from tlcore.datasets.dataset import confirmed_label
from tlcore.datasets.layout import is_split_name, is_system_file
from tlcore.datasets.manifest import (
    DISMISSED,
    EXCLUDED,
    LABEL,
    RESTORED,
    SPLIT,
    Change,
    Edit,
    Value,
    read_edits,
    set_edits_aside,
    write_edits,
)
from tlcore.datasets.store import DatasetState, dataset_folder, lock_dataset, read_state
from tlcore.errors import BadDataset
from tlcore.settings import Settings
from tlcore.storage import explained_os_errors
from tlcore.text import plural

_LONGEST = 60  # characters of a label
_UNSAVED = "The change could not be saved; the dataset is as it was"


def relabel(name: str, keys: Collection[str], label: str, settings: Settings) -> DatasetState:
    """Give images another class; BadDataset for a label that cannot be one."""
    return relabel_each(
        name, dict.fromkeys(keys, label), settings, f"label {_images(keys)} {label}"
    )


def relabel_each(
    name: str, labels: Mapping[str, str], settings: Settings, description: str = ""
) -> DatasetState:
    """Give each image its own class, in one edit: key → label."""
    for label in set(labels.values()):
        check_label(label)
    return _edit(
        name, settings, description or f"label {_images(labels)}", _group_by_value(LABEL, labels)
    )


def exclude(name: str, keys: Collection[str], settings: Settings) -> DatasetState:
    """Exclude images from everything; they stay on disk and can be included again."""
    return _edit(name, settings, f"exclude {_images(keys)}", [Change(EXCLUDED, True, tuple(keys))])


def include(name: str, keys: Collection[str], settings: Settings) -> DatasetState:
    """Include excluded images again."""
    return _edit(name, settings, f"include {_images(keys)}", [Change(EXCLUDED, False, tuple(keys))])


def dismiss(name: str, keys: Collection[str], kind: str, settings: Settings) -> DatasetState:
    """Dismiss the findings of a kind for images: they are not listed as open any more."""
    return _edit(name, settings, f"keep {_images(keys)}", [Change(DISMISSED, kind, tuple(keys))])


def restore(name: str, keys: Collection[str], kind: str, settings: Settings) -> DatasetState:
    """List the dismissed findings of a kind as open again."""
    return _edit(name, settings, f"reopen {_images(keys)}", [Change(RESTORED, kind, tuple(keys))])


def confirm_labels(name: str, keys: Collection[str], settings: Settings) -> DatasetState:
    """Confirm that the labels of images are right, whatever a model predicts."""

    def changes(state: DatasetState) -> list[Change]:
        samples = [state.by_key[key] for key in keys if key in state.by_key]
        kinds = {sample.key: confirmed_label(sample.label) for sample in samples}
        return _group_by_value(DISMISSED, kinds)

    return _edit(name, settings, f"confirm {plural(len(keys), 'label')}", changes)


def rename_class(name: str, label: str, new: str, settings: Settings) -> DatasetState:
    """Rename a class; a name that another class has already merges the two."""
    check_label(new)

    def changes(state: DatasetState) -> list[Change]:
        return [Change(LABEL, new, _keys_of_class(state, label))]

    return _edit(name, settings, f"rename {label} to {new}", changes)


def delete_class(name: str, label: str, settings: Settings) -> DatasetState:
    """Exclude every image of a class."""

    def changes(state: DatasetState) -> list[Change]:
        keys = [key for key in _keys_of_class(state, label) if not state.by_key[key].excluded]
        return [Change(EXCLUDED, True, tuple(keys))]

    return _edit(name, settings, f"delete the class {label}", changes)


def assign_splits(
    name: str, splits: Mapping[str, str | None], description: str, settings: Settings
) -> DatasetState:
    """Assign each image to its split, in one edit: key → "train", "val", "test" or None."""
    return _edit(name, settings, description, _group_by_value(SPLIT, splits))


@explained_os_errors(_UNSAVED)
def undo_edit(name: str, settings: Settings) -> DatasetState:
    """Undo the last edit; nothing happens to a dataset that has none."""
    folder = dataset_folder(name, settings)
    with lock_dataset(folder):
        state = read_state(folder)
        if state.edits:
            write_edits(folder, state.edits[:-1])
        return read_state(folder)


@explained_os_errors(_UNSAVED)
def discard_edits(name: str, settings: Settings) -> DatasetState:
    """Go back to the labels that the images came with, where the edits cannot be read.

    The file of the edits stays in the dataset's folder under another name.

    Raises:
        BadDataset: there is no such dataset, or its manifest cannot be read either.
    """
    folder = dataset_folder(name, settings)
    with lock_dataset(folder):
        set_edits_aside(folder)
        return read_state(folder)


def has_damaged_edits(name: str, settings: Settings) -> bool:
    """Whether it is the edits of a stored dataset that cannot be read."""
    try:
        read_edits(dataset_folder(name, settings))
    except BadDataset:
        return True
    return False


def is_label(label: str) -> bool:
    """Whether a label may be given: it can be a folder's name and means nothing but a class."""
    return (
        0 < len(label) <= _LONGEST
        and label == label.strip()
        and label.isprintable()
        and not set(label) & set('/\\:*?"<>|')
        and not is_system_file(label)
        and label not in (".", "..")
        and not is_split_name(label)
    )


def check_label(label: str) -> None:
    """Refuse a label that may not be given; BadDataset."""
    if not is_label(label):
        raise BadDataset(
            f"Expected a class name of at most {_LONGEST} characters that a folder could have, "
            f"and not the name of a split like train or test. Received {label!r}."
        )


@explained_os_errors(_UNSAVED)
def _edit(
    name: str,
    settings: Settings,
    description: str,
    changes: Iterable[Change] | Callable[[DatasetState], Iterable[Change]],
) -> DatasetState:
    folder = dataset_folder(name, settings)
    with lock_dataset(folder):
        state = read_state(folder)
        made = changes(state) if callable(changes) else changes
        made = tuple(change for change in made if change.keys)
        _check_keys(state, made)
        if made:
            write_edits(folder, [*state.edits, Edit(description, datetime.now(UTC), made)])
        return read_state(folder)


def _group_by_value(field: str, values: Mapping[str, Value]) -> list[Change]:
    """Return the changes that give each image its value: key → value."""
    keys: dict[Value, list[str]] = {}
    for key, value in values.items():
        keys.setdefault(value, []).append(key)
    return [Change(field, value, tuple(some)) for value, some in keys.items()]


def _keys_of_class(state: DatasetState, label: str) -> tuple[str, ...]:
    """Return the keys of a class, excluded images too: they would keep their old label."""
    keys = tuple(sample.key for sample in state.samples if sample.label == label)
    if not keys:
        labels = ", ".join(state.counts)
        raise BadDataset(f"Expected a class of {state.name!r} ({labels}). Received {label!r}.")
    return keys


def _check_keys(state: DatasetState, changes: Iterable[Change]) -> None:
    unknown = {key for change in changes for key in change.keys} - state.by_key.keys()
    if unknown:
        raise BadDataset(
            f"{plural(len(unknown), 'image')} of {state.name!r} cannot be edited, because the "
            "dataset has changed. Reload the page."
        )


def _images(keys: Collection[str]) -> str:
    return plural(len(keys), "image")
