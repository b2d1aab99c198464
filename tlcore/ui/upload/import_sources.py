"""Where images come from: files or archives, a folder, the camera, a folder on the server."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import streamlit as st

from tlcore.datasets.archive import (
    archive_title,
    incoming_from_archive,
    incoming_from_one_of_several,
    is_archive,
)
from tlcore.datasets.dataset import Incoming
from tlcore.datasets.sources import incoming_from_server_folder, incoming_from_uploads
from tlcore.settings import Limits, Settings
from tlcore.ui.state import Choice, widget_generation
from tlcore.ui.widgets import segments

if TYPE_CHECKING:
    from streamlit.runtime.uploaded_file_manager import UploadedFile

UNTITLED = "My images"  # proposed for a dataset of images that came without a folder


@dataclass(frozen=True)
class Offer:
    """Files that a person has brought; none of them is read yet."""

    key: str  # of these files and no others
    title: str  # proposed as the dataset's name
    read: Callable[[], list[Incoming]]  # raises BadDataset, as for a damaged zip


Source = Callable[[Settings], Offer | None]


def choose_source(settings: Settings) -> Offer | None:
    """Let the person choose a source and bring images; None while there are none yet."""
    sources: dict[str, tuple[str, Source]] = {
        "files": ("Files or archives", _files),
        "folder": ("A folder", _folder),
        "camera": ("The camera", _camera),
    }
    if settings.server_folders:
        sources["server"] = ("A folder on the server", _server)
    source = segments(
        "Source", list(sources), Choice.IMPORT_SOURCE, words=lambda name: sources[name][0]
    )
    return sources[source][1](settings)


def uploader_key(source: str = "upload") -> str:
    """Return the key of an uploader, another one after each import."""
    return f"{source}-{widget_generation('upload')}"


def _files(settings: Settings) -> Offer | None:
    files = st.file_uploader(
        "Images, a zip or tar of folders, Parquet, a short video",
        accept_multiple_files=True,
        key=uploader_key(),
        max_upload_size=settings.limits.archive_bytes // 2**20,
        help="A folder for each class (cats/1.jpg, dogs/7.jpg), in train and val or not; labels "
        "in the file names or in a table beside the images; a zip of each class. What was "
        "recognised is shown before anything is imported.",
    )
    return _uploaded(files, settings.limits) if files else None


def _folder(settings: Settings) -> Offer | None:
    files = st.file_uploader(
        "A folder, with whatever lies in it",
        accept_multiple_files="directory",
        key=uploader_key("folder"),
        max_upload_size=settings.limits.archive_bytes // 2**20,
        help="What was recognised is shown before anything is imported.",
    )
    return _uploaded(files, settings.limits) if files else None


def _camera(settings: Settings) -> Offer | None:
    shot = st.camera_input(
        "One image from the camera",
        key=uploader_key("camera"),
        help="Browsers give the camera only to pages on this computer or over https.",
    )
    if shot is None:
        return None
    name = f"camera {widget_generation('upload') + 1}.jpg"
    return Offer(
        shot.file_id, "My camera", lambda: incoming_from_uploads([(name, shot.getvalue())])
    )


def _server(settings: Settings) -> Offer | None:
    allowed = ", ".join(f"`{root}`" for root in settings.server_folders)
    path = st.text_input(
        "Path of a folder on the server",
        key=uploader_key("server"),
        placeholder=str(settings.server_folders[0]),
        help=f"Inside {allowed}, as TLCORE_SERVER_FOLDERS allows.",
    ).strip()
    if not path:
        return None
    title = path.rstrip("/").rpartition("/")[2] or UNTITLED
    return Offer(path, title, lambda: incoming_from_server_folder(path, settings))


def _uploaded(files: Sequence[UploadedFile], limits: Limits) -> Offer:
    folders = {file.name.partition("/")[0] for file in files if "/" in file.name}
    title = UNTITLED
    if len(folders) == 1:
        title = folders.pop()
    elif len(files) == 1 and is_archive(files[0].name):
        title = archive_title(files[0].name)
    key = " ".join(file.file_id for file in files)
    return Offer(key, title, lambda: _read(files, limits))


def _read(files: Sequence[UploadedFile], limits: Limits) -> list[Incoming]:
    """List the files, those in archives too; of several, each archive is a folder."""
    if len(files) == 1 and is_archive(files[0].name):
        return incoming_from_archive(files[0], limits, files[0].name)
    incoming: list[Incoming] = []
    for file in files:
        if is_archive(file.name):
            incoming += incoming_from_one_of_several(file, file.name, limits)
        else:
            incoming += incoming_from_uploads([(file.name, file.getvalue())])
    return incoming
