"""Where images come from: files or a zip, a folder, the camera, a folder on the server."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import streamlit as st

from tlcore.datasets.archive import incoming_from_archive
from tlcore.datasets.dataset import Incoming
from tlcore.datasets.sources import incoming_from_server_folder, incoming_from_uploads
from tlcore.errors import BadDataset
from tlcore.settings import Limits, Settings
from tlcore.ui.state import Choice, widget_generation
from tlcore.ui.widgets import segments

if TYPE_CHECKING:
    from streamlit.runtime.uploaded_file_manager import UploadedFile

UNTITLED = "My images"  # proposed for a dataset of images that came without a folder


@dataclass(frozen=True)
class Offer:
    """Images that are ready to be read."""

    read: Callable[[], list[Incoming]]  # raises BadDataset, as for a damaged zip
    title: str  # proposed as the dataset's name
    has_loose: bool  # some are in no folder: the form asks for their class


Source = Callable[[Settings], Offer | None]


def choose_source(settings: Settings) -> Offer | None:
    """Let the person choose a source and bring images; None while there are none yet."""
    sources: dict[str, tuple[str, Source]] = {
        "files": ("Files or a zip", _files),
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
        "Images, or a zip with a folder for each class",
        accept_multiple_files=True,
        key=uploader_key(),
        max_upload_size=settings.limits.archive_bytes // 2**20,
        help="In a zip the folder's name is the class: cats/1.jpg, dogs/7.jpg. Folders named "
        "train, val and test on top are kept as the splits.",
    )
    return _uploaded(files, settings.limits) if files else None


def _folder(settings: Settings) -> Offer | None:
    files = st.file_uploader(
        "A folder with a folder for each class inside",
        accept_multiple_files="directory",
        key=uploader_key("folder"),
        max_upload_size=settings.limits.file_bytes // 2**20,
        help="The folders' names are the classes. Folders named train, val and test on top are "
        "kept as the splits.",
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
        lambda: incoming_from_uploads([(name, shot.getvalue())]), "My camera", has_loose=True
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
    images = incoming_from_server_folder(path, settings)
    return Offer(
        lambda: incoming_from_server_folder(path, settings),
        path.rstrip("/").rpartition("/")[2] or UNTITLED,
        has_loose=any("/" not in image.file for image in images),
    )


def _uploaded(files: Sequence[UploadedFile], limits: Limits) -> Offer:
    zips = [file for file in files if _is_zip(file)]
    images = [file for file in files if not _is_zip(file)]
    folders = {file.name.partition("/")[0] for file in images if "/" in file.name}
    title = UNTITLED
    if zips:
        title = zips[0].name[:-4]
    elif len(folders) == 1:
        title = folders.pop()
    return Offer(
        lambda: _read(zips, images, limits),
        title,
        has_loose=any("/" not in file.name for file in images),
    )


def _read(
    zips: Sequence[UploadedFile], images: Sequence[UploadedFile], limits: Limits
) -> list[Incoming]:
    zipped = [image for file in zips for image in _unzip(file, limits)]
    return [*incoming_from_uploads((file.name, file.getvalue()) for file in images), *zipped]


def _unzip(file: UploadedFile, limits: Limits) -> list[Incoming]:
    try:
        return incoming_from_archive(file, limits)
    except BadDataset as error:
        raise BadDataset(str(error).replace("The upload", file.name, 1)) from error


def _is_zip(file: UploadedFile) -> bool:
    return str(file.name).lower().endswith(".zip")
