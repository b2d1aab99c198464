"""The ways in: files or a zip, a folder, the camera, a folder on the server."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import streamlit as st

from tlcore.datasets.incoming import Incoming
from tlcore.datasets.server import from_server_folder
from tlcore.datasets.sources import from_uploads, from_zip
from tlcore.errors import BadDataset
from tlcore.settings import Limits, Settings
from tlcore.ui.selecting import segments
from tlcore.ui.state import Choice, generation

if TYPE_CHECKING:
    from streamlit.runtime.uploaded_file_manager import UploadedFile

MINE = "My pictures"  # the title of what has none


@dataclass(frozen=True)
class Offer:
    """Pictures that are ready to be read."""

    read: Callable[[], list[Incoming]]  # raises BadDataset, as for a damaged zip
    title: str  # a name for a set of them
    loose: bool  # some are in no folder, so that their class must be asked for


def choose_way(settings: Settings) -> Offer | None:
    """Let the person choose a way in and bring something, or nothing yet."""
    ways: dict[str, tuple[str, Callable[[Settings], Offer | None]]] = {
        "files": ("Files or a zip", _files),
        "folder": ("A folder", _folder),
        "camera": ("The camera", _camera),
    }
    if settings.server_folders:
        ways["server"] = ("A folder on the server", _server)
    way = segments("How do you bring them?", list(ways), Choice.WAY, words=lambda w: ways[w][0])
    return ways[way][1](settings)


def uploader_key(way: str = "upload") -> str:
    return f"{way}-{generation('upload')}"


def _files(settings: Settings) -> Offer | None:
    files = st.file_uploader(
        "Pictures, or a zip with a folder for each class",
        accept_multiple_files=True,
        key=uploader_key(),
        max_upload_size=settings.limits.archive_bytes // 2**20,
        help="In a zip the folder's name is the class: cats/1.jpg, dogs/7.jpg. Folders named "
        "train, val and test on top are kept as the parts.",
    )
    return _uploaded(files, settings.limits) if files else None


def _folder(settings: Settings) -> Offer | None:
    files = st.file_uploader(
        "A folder with a folder for each class inside",
        accept_multiple_files="directory",
        key=uploader_key("folder"),
        max_upload_size=settings.limits.file_bytes // 2**20,
        help="The folders' names are the classes. Folders named train, val and test on top are "
        "kept as the parts.",
    )
    return _uploaded(files, settings.limits) if files else None


def _camera(settings: Settings) -> Offer | None:
    shot = st.camera_input(
        "One picture from the camera",
        key=uploader_key("camera"),
        help="Browsers give the camera only to pages on this computer or over https.",
    )
    if shot is None:
        return None
    name = f"camera {generation('upload') + 1}.jpg"
    return Offer(lambda: from_uploads([(name, shot.getvalue())]), "My camera", True)


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
    found = from_server_folder(path, settings)
    return Offer(
        lambda: from_server_folder(path, settings),
        path.rstrip("/").rpartition("/")[2] or MINE,
        any("/" not in item.file for item in found),
    )


def _uploaded(files: Sequence[UploadedFile], limits: Limits) -> Offer:
    zips = [file for file in files if _is_zip(file)]
    loose = [file for file in files if not _is_zip(file)]
    tops = {file.name.partition("/")[0] for file in loose if "/" in file.name}
    title = zips[0].name[:-4] if zips else tops.pop() if len(tops) == 1 else MINE
    return Offer(
        lambda: _incoming(zips, loose, limits), title, any("/" not in file.name for file in loose)
    )


def _incoming(
    zips: Sequence[UploadedFile], loose: Sequence[UploadedFile], limits: Limits
) -> list[Incoming]:
    """All files that were sent, those in zips as well."""
    inside = [item for file in zips for item in _unzip(file, limits)]
    return [*from_uploads((file.name, file.getvalue()) for file in loose), *inside]


def _unzip(file: UploadedFile, limits: Limits) -> list[Incoming]:
    try:
        return from_zip(file, limits)
    except BadDataset as error:
        raise BadDataset(str(error).replace("The upload", file.name, 1)) from error


def _is_zip(file: UploadedFile) -> bool:
    return str(file.name).lower().endswith(".zip")
