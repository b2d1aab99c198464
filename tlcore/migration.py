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
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from tlcore.errors import StorageError
from tlcore.settings import Settings
from tlcore.storage import explained_os_errors, lock_file, read_json, sync_file, write_json

VERSION = 2
WORKSPACE = "workspace.json"


@dataclass(frozen=True)
class FileChange:
    """How version 2 names a file of a run or dataset, and what it holds."""

    old: str
    new: str
    convert: Callable[[bytes], bytes] | None = None  # returns what it cannot convert as it is


def convert_object(keys: Mapping[str, str], values: Mapping[str, str], data: bytes) -> bytes:
    """Return a JSON object under its new keys; a value that has a new name gets it as well."""
    try:
        old = json.loads(data)
        if keys.keys().isdisjoint(old):
            return data
        new = {keys.get(key, key): value for key, value in old.items()}
    except (ValueError, AttributeError, TypeError, RecursionError):
        return data
    if "class_weights" in new:
        new["class_weights"] = values.get(new["class_weights"], new["class_weights"])
    return json.dumps(new, indent=1).encode("ascii")


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
_CLASS_WEIGHTS = {"weights": "balanced", "sampling": "oversampling"}
_PROVENANCE = partial(convert_object, {"pictures": "images"}, {})
_STATUS = partial(convert_object, {"state": "status", "kept_epoch": "best_epoch"}, {})
RUN_FILES = (
    FileChange("facts.json", "provenance.json", _PROVENANCE),
    FileChange("earlier.json", "previous_status.json", _STATUS),
    FileChange("after.json", "parent_run.json"),
    FileChange("waiting", "queued"),
    FileChange("validation-head.npz", "stage_predictions-head.npz"),
    FileChange("validation-fine-tune.npz", "stage_predictions-fine-tune.npz"),
    FileChange("answers-train.npz", "predictions-train.npz"),
    FileChange("answers-val.npz", "predictions-val.npz"),
    FileChange("answers-test.npz", "predictions-test.npz"),
    FileChange("outcome.json", "status.json", _STATUS),
    FileChange("config.json", "config.json", partial(convert_object, OPTIONS, _CLASS_WEIGHTS)),
)
DATASET_FILES = (
    FileChange("facts.jsonl", "image_facts.jsonl", convert_image_facts),
    FileChange("edits.json", "edits.json", convert_edits),
    FileChange("set.json", "dataset.json"),
)
FOLDERS = {"activations": "top_images", "making": "work"}  # of the workspace itself
OLD_CACHE = "features"  # deleted: features are computed again
QUEUES = (".turns", ".queue")  # in the folder of the runs, old and new


def migrate(settings: Settings) -> None:
    """Convert the workspace to this version where it is older; takes no time where it is not.

    Call it before anything of the workspace is read or written. One that may not be written is
    left as it is: its runs of an earlier version are listed as such.

    Raises:
        StorageError: a newer version of the program wrote the workspace, or the disk is full or
            failing. What is converted stays readable by the next call.
    """
    home = settings.home
    try:
        version = read_json(home / WORKSPACE, dict[str, int]).get("version", 1)
    except FileNotFoundError:
        version = 1
    if version > VERSION:
        raise StorageError(
            f"The workspace {str(home)!r} has version {version}, and this program reads up to "
            f"version {VERSION}. Update the program, or choose another folder with TLCORE_HOME."
        )
    if version == VERSION or not os.access(home, os.W_OK):
        return
    with (
        explained_os_errors("The workspace of an earlier version could not be converted"),
        lock_file(home / ".workspace.lock"),
    ):
        if _convert(settings):
            with suppress(OSError):  # a later call writes it
                write_json(home / WORKSPACE, {"version": VERSION})


def _convert(settings: Settings) -> bool:
    """Convert all folders; return whether none of them had to be left for later."""
    kinds = ((settings.runs, "run.lock", RUN_FILES), (settings.datasets, "lock", DATASET_FILES))
    converted = [
        _convert_folder(folder, lock, changes)
        for parent, lock, changes in kinds
        for folder in sorted(parent.glob("[!.]*"))
        if os.access(folder, os.X_OK | os.R_OK)
    ]
    if not all(converted):
        return False
    _rename(settings.runs, *QUEUES)
    for old, new in FOLDERS.items():
        _rename(settings.home, old, new)
    shutil.rmtree(settings.home / OLD_CACHE, ignore_errors=True)
    return True


def _convert_folder(folder: Path, lock: str, changes: Iterable[FileChange]) -> bool:
    """Convert a run or a dataset; return False where a process holds its lock."""
    wanted = []
    for change in changes:
        old = folder / change.old
        if old.is_file() and (change.old != change.new or _converted(old, change)):
            wanted.append(change)
    if not wanted:
        return True
    with lock_file(folder / lock, timeout=0) as is_free:
        if not is_free:
            return False
        for change in wanted:
            _convert_file(folder / change.old, folder / change.new, change)
        sync_file(folder)
    return True


def _converted(path: Path, change: FileChange) -> bytes:
    """Return the new content of a file; b"" where it stays."""
    if change.convert is None:
        return b""
    try:
        data = path.read_bytes()
    except PermissionError:  # its run or dataset is listed as damaged
        return b""
    converted = change.convert(data)
    return b"" if converted == data else converted


def _convert_file(old: Path, new: Path, change: FileChange) -> None:
    if old != new and new.exists():  # killed between the two steps below
        old.unlink()
    elif not (converted := _converted(old, change)):
        old.replace(new)
    else:
        status, temporary = old.stat(), new.with_name(f".{new.name}.converted")
        temporary.write_bytes(converted)
        os.utime(temporary, ns=(status.st_atime_ns, status.st_mtime_ns))
        sync_file(temporary)
        temporary.replace(new)
        if old != new:
            old.unlink()


def _rename(parent: Path, old: str, new: str) -> None:
    """Rename a folder; one that is there under both names keeps both."""
    if (parent / old).is_dir() and not (parent / new).exists():
        (parent / old).rename(parent / new)
        sync_file(parent)
