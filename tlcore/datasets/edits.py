"""What a person does to a stored dataset: relabel, exclude, assign splits, dismiss, undo.

Every function takes the dataset's name, waits for other processes that change the dataset, and
returns it as it then stands. Image files are never touched.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from datetime import UTC, datetime

from tlcore.datasets import manifest as files
from tlcore.datasets import store
from tlcore.datasets.dataset import confirmed_label
from tlcore.datasets.folder_names import is_split_name, is_system_file
from tlcore.datasets.manifest import Change, Edit
from tlcore.datasets.store import DatasetState
from tlcore.errors import BadDataset
from tlcore.settings import Settings
from tlcore.storage import explained_os_errors, sync_file
from tlcore.text import composed, plural

_LONGEST = 60  # characters of a label
_UNSAVED = "The change could not be saved; the dataset is as it was"

Values = Mapping[str, files.Value]  # of one field: key of an image → value


def relabel(name: str, keys: Collection[str], label: str, settings: Settings) -> DatasetState:
    """Give images another class; BadDataset for a label that cannot be one."""
    description = f"label {_images(keys)} {label}"
    return relabel_each(name, dict.fromkeys(keys, label), settings, description)


def relabel_each(
    name: str, labels: Mapping[str, str], settings: Settings, description: str = ""
) -> DatasetState:
    """Give each image its own class, in one edit: key → label."""
    labels = {key: _check_label(label) for key, label in labels.items()}
    return _edit(name, settings, description or f"label {_images(labels)}", files.LABEL, labels)


def exclude(name: str, keys: Collection[str], settings: Settings) -> DatasetState:
    """Exclude images from everything; they stay on disk and can be included again."""
    values = dict.fromkeys(keys, True)
    return _edit(name, settings, f"exclude {_images(keys)}", files.EXCLUDED, values)


def include(name: str, keys: Collection[str], settings: Settings) -> DatasetState:
    """Include excluded images again."""
    values = dict.fromkeys(keys, False)
    return _edit(name, settings, f"include {_images(keys)}", files.EXCLUDED, values)


def dismiss(name: str, keys: Collection[str], kind: str, settings: Settings) -> DatasetState:
    """Dismiss the findings of a kind for images: they are not listed as open any more."""
    values = dict.fromkeys(keys, kind)
    return _edit(name, settings, f"keep {_images(keys)}", files.DISMISSED, values)


def restore(name: str, keys: Collection[str], kind: str, settings: Settings) -> DatasetState:
    """List the dismissed findings of a kind as open again."""
    values = dict.fromkeys(keys, kind)
    return _edit(name, settings, f"reopen {_images(keys)}", files.RESTORED, values)


def confirm_labels(name: str, keys: Collection[str], settings: Settings) -> DatasetState:
    """Confirm that the labels of images are right, whatever a model predicts."""

    def values(state: DatasetState) -> Values:
        samples = [state.by_key[key] for key in keys if key in state.by_key]
        return {sample.key: confirmed_label(sample.label) for sample in samples}

    return _edit(name, settings, f"confirm {plural(len(keys), 'label')}", files.DISMISSED, values)


def rename_class(name: str, label: str, new: str, settings: Settings) -> DatasetState:
    """Rename a class; a name that another class has already merges the two."""
    new = _check_label(new)
    return _edit(
        name,
        settings,
        f"rename {label} to {new}",
        files.LABEL,
        lambda state: dict.fromkeys(_keys_of_class(state, label), new),
    )


def merge_classes(name: str, labels: Collection[str], new: str, settings: Settings) -> DatasetState:
    """Give the images of several classes one label."""
    new = _check_label(new)

    def values(state: DatasetState) -> Values:
        return {k: new for label in labels for k in _keys_of_class(state, label)}

    return _edit(name, settings, f"merge {', '.join(labels)} into {new}", files.LABEL, values)


def delete_class(name: str, label: str, settings: Settings) -> DatasetState:
    """Exclude every image of a class."""

    def values(state: DatasetState) -> Values:
        return {k: True for k in _keys_of_class(state, label) if not state.by_key[k].excluded}

    return _edit(name, settings, f"delete the class {label}", files.EXCLUDED, values)


def assign_splits(
    name: str, splits: Mapping[str, str | None], description: str, settings: Settings
) -> DatasetState:
    """Assign each image to its split, in one edit: key → "train", "val", "test" or None."""
    return _edit(name, settings, description, files.SPLIT, splits)


@explained_os_errors(_UNSAVED)
def undo_edit(name: str, settings: Settings) -> DatasetState:
    """Undo the last edit; nothing happens to a dataset that has none."""
    folder = store.dataset_folder(name, settings)
    with store.lock_dataset(folder):
        if edits := store.read_state(folder).edits:
            files.write_edits(folder, edits[:-1])
        return store.read_state(folder)


@explained_os_errors(_UNSAVED)
def discard_edits(name: str, settings: Settings) -> DatasetState:
    """Go back to the labels that the images came with, where the edits cannot be read.

    The file of the edits stays in the dataset's folder under another name.

    Raises:
        BadDataset: there is no such dataset, or its manifest cannot be read either.
    """
    folder = store.dataset_folder(name, settings)
    with store.lock_dataset(folder):
        if (folder / files.EDITS).exists():
            aside = f"damaged-{datetime.now(UTC):%Y%m%d-%H%M%S}-{files.EDITS}"
            (folder / files.EDITS).replace(folder / aside)
            sync_file(folder)
        return store.read_state(folder)


def has_damaged_edits(name: str, settings: Settings) -> bool:
    """Whether it is the edits of a stored dataset that cannot be read."""
    try:
        files.read_edits(store.dataset_folder(name, settings))
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


def _check_label(label: str) -> str:
    label = composed(label)
    if not is_label(label):
        raise BadDataset(
            f"Expected a class name of at most {_LONGEST} characters that a folder could have, "
            f"and not the name of a split like train or test. Received {label!r}."
        )
    return label


@explained_os_errors(_UNSAVED)
def _edit(
    name: str,
    settings: Settings,
    description: str,
    field: str,
    values: Values | Callable[[DatasetState], Values],
) -> DatasetState:
    """Give one field of images new values, in one edit."""
    folder = store.dataset_folder(name, settings)
    with store.lock_dataset(folder):
        state = store.read_state(folder)
        keys: dict[files.Value, list[str]] = {}
        for key, value in (values(state) if callable(values) else values).items():
            keys.setdefault(value, []).append(key)
        if unknown := {key for some in keys.values() for key in some} - state.by_key.keys():
            raise BadDataset(
                f"{plural(len(unknown), 'image')} of {name!r} cannot be edited, because the "
                "dataset has changed. Reload the page."
            )
        if keys:
            changes = tuple(Change(field, value, tuple(some)) for value, some in keys.items())
            edit = Edit(description, datetime.now(UTC), changes)
            files.write_edits(folder, [*state.edits, edit])
        return store.read_state(folder)


def _keys_of_class(state: DatasetState, label: str) -> list[str]:
    """Return the keys of a class, excluded images too: they would keep their old label."""
    keys = [sample.key for sample in state.samples if sample.label == composed(label)]
    if not keys:
        labels = ", ".join(state.counts)
        raise BadDataset(f"Expected a class of {state.name!r} ({labels}). Received {label!r}.")
    return keys


def _images(keys: Collection[str]) -> str:
    return plural(len(keys), "image")
