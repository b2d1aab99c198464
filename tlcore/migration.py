"""Convert a workspace that an earlier version of the program wrote.

``workspace.json`` in TLCORE_HOME holds the version of the workspace; without it the version is 1.
Version 2 gave folders, files and JSON keys the names in the tables below; contents, and the times
of files (the start of a run is read from one), stay. Every step is one atomic rename or removal
and is skipped where it has been taken: a conversion that was killed continues with the next call.
The folder of a run or dataset that is in use is converted by a later call.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tlcore.errors import StorageError
from tlcore.locks import lock_file
from tlcore.settings import Settings
from tlcore.storage import explained_os_errors, read_json, sync_file, sync_folder, write_json

VERSION = 2
WORKSPACE = "workspace.json"


@dataclass(frozen=True)
class FileChange:
    """How version 2 names a file of a run or dataset, and the keys of its JSON object."""

    old: str
    new: str
    keys: Mapping[str, str] = field(default_factory=dict)  # old key → new key
    values: Mapping[str, Mapping[str, str]] = field(default_factory=dict)  # by new key
    convert: Callable[[bytes], bytes] | None = None  # for files that are no flat JSON object


def convert_edits(data: bytes) -> bytes:
    """Return the edits of a dataset under their keys of version 2; damaged ones as they are."""
    fields = {"settled": "dismissed", "unsettled": "restored"}
    try:
        old = json.loads(data)
        if old["version"] != 1:
            return data
        edits = [
            {
                "description": edit["words"],
                "time": edit["at"],
                "changes": [[fields.get(name, name), *rest] for name, *rest in edit["changes"]],
            }
            for edit in old["edits"]
        ]
    except (ValueError, KeyError, TypeError, RecursionError):
        return data
    return json.dumps({"version": 2, "edits": edits}, separators=(",", ":")).encode("ascii")


def convert_image_facts(data: bytes) -> bytes:
    """Return the facts of images, a JSON object a line, under their keys of version 2."""
    return b"\n".join(map(_convert_facts_line, data.split(b"\n")))


def _convert_facts_line(line: bytes) -> bytes:
    header = {"turned": "rotated", "see_through": "transparent"}
    names = {"look": "copy", "fault": "kind"}
    try:
        facts = {names.get(key, key): value for key, value in json.loads(line).items()}
        if facts.get("version") == 1:
            facts["version"] = 2
            facts["header"] = {header.get(key, key): v for key, v in facts["header"].items()}
    except (ValueError, KeyError, AttributeError, RecursionError):  # torn: it is measured again
        return line
    return json.dumps(facts, separators=(",", ":")).encode("ascii")


OPTIONS = {
    "val_fraction": "validation_split",
    "hidden": "hidden_units",
    "output": "classifier_activation",
    "balance": "class_weights",
    "schedule": "learning_rate_schedule",
    "augment": "augmentations",
    "views": "augmented_copies",
    "free_augmentation": "on_the_fly_augmentation",
}
_OPTION_VALUES = {"class_weights": {"weights": "balanced", "sampling": "oversampling"}}
_STATUS_KEYS = {"state": "status", "kept_epoch": "best_epoch"}
RUN_FILES = (
    FileChange("facts.json", "provenance.json", {"pictures": "images"}),
    FileChange("earlier.json", "previous_status.json", _STATUS_KEYS),
    FileChange("after.json", "parent_run.json"),
    FileChange("waiting", "queued"),
    FileChange("validation-head.npz", "stage_predictions-head.npz"),
    FileChange("validation-fine-tune.npz", "stage_predictions-fine-tune.npz"),
    FileChange("answers-train.npz", "predictions-train.npz"),
    FileChange("answers-val.npz", "predictions-val.npz"),
    FileChange("answers-test.npz", "predictions-test.npz"),
    FileChange("outcome.json", "status.json", _STATUS_KEYS),
    FileChange("config.json", "config.json", OPTIONS, _OPTION_VALUES),
)
DATASET_FILES = (
    FileChange("facts.jsonl", "image_facts.jsonl", convert=convert_image_facts),
    FileChange("edits.json", "edits.json", convert=convert_edits),
    FileChange("set.json", "dataset.json"),
)
FOLDERS = {"activations": "top_images", "making": "work"}  # of the workspace itself
OLD_CACHE = "features"  # deleted: features are computed again
QUEUES = (".turns", ".queue")  # in the folder of the runs, old and new


def migrate(settings: Settings) -> None:
    """Convert the workspace to this version where it is older; takes no time where it is not.

    Call it before anything of the workspace is read or written.

    Raises:
        StorageError: a newer version of the program wrote the workspace, or the disk is full,
            read-only or failing. What is converted stays readable by the next call.
    """
    home = settings.home
    version = _read_version(home)
    if version > VERSION:
        raise StorageError(
            f"The workspace {str(home)!r} has version {version}, and this program reads up to "
            f"version {VERSION}. Update the program, or choose another folder with TLCORE_HOME."
        )
    if version == VERSION or not home.is_dir():
        return
    if not _has_old_names(settings):  # new, or empty
        with suppress(OSError):  # a read-only workspace can be read all the same
            write_json(home / WORKSPACE, {"version": VERSION})
        return
    with (
        explained_os_errors("The workspace of an earlier version could not be converted"),
        lock_file(home / ".workspace.lock"),
    ):
        if _convert(settings):
            write_json(home / WORKSPACE, {"version": VERSION})


def _read_version(home: Path) -> int:
    try:
        return read_json(home / WORKSPACE, dict[str, int])["version"]
    except (FileNotFoundError, KeyError):
        return 1


def _convert(settings: Settings) -> bool:
    """Convert all folders; return whether none of them had to be left for later."""
    runs = [_convert_folder(each, "run.lock", RUN_FILES) for each in _list_folders(settings.runs)]
    datasets = [
        _convert_folder(each, "lock", DATASET_FILES) for each in _list_folders(settings.datasets)
    ]
    if not all(runs + datasets):
        return False
    _rename(settings.runs, *QUEUES)
    for old, new in FOLDERS.items():
        _rename(settings.home, old, new)
    shutil.rmtree(settings.home / OLD_CACHE, ignore_errors=True)
    return True


def _convert_folder(folder: Path, lock: str, changes: Iterable[FileChange]) -> bool:
    """Convert a run or a dataset; return False where a process holds its lock."""
    wanted = [change for change in changes if _is_old(folder, change)]
    if not wanted:
        return True
    with lock_file(folder / lock, timeout=0) as is_free:
        if not is_free:
            return False
        for change in wanted:
            _convert_file(folder / change.old, folder / change.new, change)
        sync_folder(folder)
    return True


def _convert_file(old: Path, new: Path, change: FileChange) -> None:
    if old != new and new.exists():  # killed between the two steps below
        old.unlink()
        return
    if change.convert:
        converted = change.convert(old.read_bytes())
    else:
        converted = _convert_json(old, change) if change.keys else b""
    if not converted:
        old.replace(new)
        return
    status, temporary = old.stat(), new.with_name(f".{new.name}.converted")
    temporary.write_bytes(converted)
    os.utime(temporary, ns=(status.st_atime_ns, status.st_mtime_ns))
    sync_file(temporary)
    temporary.replace(new)
    if old != new:
        old.unlink()


def _convert_json(path: Path, change: FileChange) -> bytes:
    """Return the object of a file under its new keys; b"" where it is damaged."""
    value = _read_object(path)
    if value is None:
        return b""
    converted = {change.keys.get(key, key): each for key, each in value.items()}
    for key, values in change.values.items():
        if isinstance(converted.get(key), str):
            converted[key] = values.get(converted[key], converted[key])
    return json.dumps(converted, indent=1).encode("ascii")


def _read_object(path: Path) -> dict[str, Any] | None:
    try:
        value = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _is_old(folder: Path, change: FileChange) -> bool:
    """Whether a file has its old name, or JSON keys of the version before."""
    if not (folder / change.old).is_file():
        return False
    if change.old != change.new:
        return True
    if change.convert:
        data = (folder / change.old).read_bytes()
        return change.convert(data) != data
    return not change.keys.keys().isdisjoint(_read_object(folder / change.old) or {})


def _has_old_names(settings: Settings) -> bool:
    kinds = ((settings.runs, RUN_FILES), (settings.datasets, DATASET_FILES))
    return (
        any((settings.home / old).exists() for old in (*FOLDERS, OLD_CACHE))
        or (settings.runs / QUEUES[0]).exists()
        or any(
            _is_old(folder, change)
            for parent, changes in kinds
            for folder in _list_folders(parent)
            for change in changes
        )
    )


def _list_folders(parent: Path) -> list[Path]:
    if not parent.is_dir():
        return []
    return sorted(each for each in parent.glob("[!.]*") if os.access(each, os.X_OK | os.R_OK))


def _rename(parent: Path, old: str, new: str) -> None:
    """Rename a folder; one that is there under both names keeps both."""
    if (parent / old).is_dir() and not (parent / new).exists():
        (parent / old).rename(parent / new)
        sync_folder(parent)
