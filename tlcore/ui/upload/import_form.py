"""The ways in: files or a zip, a folder, the camera, a folder on the server."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import streamlit as st

from tlcore.datasets.archive import from_zip
from tlcore.datasets.dataset import UNLABELLED, Incoming
from tlcore.datasets.edits import is_label
from tlcore.datasets.importing import ImportReport, add_to_dataset, import_dataset
from tlcore.datasets.quality import DECIDE, KINDS
from tlcore.datasets.quality_scan import load_quality
from tlcore.datasets.sources import from_server_folder, from_uploads
from tlcore.datasets.store import dataset_names, list_datasets
from tlcore.errors import BadDataset
from tlcore.settings import Limits, Settings
from tlcore.text import file_size
from tlcore.ui.format import count, label, plain
from tlcore.ui.state import Choice, choose, generation, renew
from tlcore.ui.widgets import distinct, segments

if TYPE_CHECKING:
    from streamlit.runtime.uploaded_file_manager import UploadedFile

MINE = "My images"  # the title of what has none


@dataclass(frozen=True)
class Offer:
    """Images that are ready to be read."""

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
    way = segments(
        "How do you bring them?", list(ways), Choice.IMPORT_SOURCE, words=lambda w: ways[w][0]
    )
    return ways[way][1](settings)


def uploader_key(way: str = "upload") -> str:
    return f"{way}-{generation('upload')}"


def _files(settings: Settings) -> Offer | None:
    files = st.file_uploader(
        "Images, or a zip with a folder for each class",
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
        "One image from the camera",
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


# Bringing images in any way a person has them, and what became of them.


NEW = ""  # no dataset is called so
REPORT = "_upload-report"
DOCTOR = "doctor"  # the view that is opened if there is something to decide about


def import_form(settings: Settings) -> None:
    """Take images and make a dataset of them, or add them to one.

    Raises:
        BadDataset: the name is taken or not allowed, or nothing was usable.
    """
    offer = choose_way(settings)
    st.caption(_limits(settings.limits))
    if offer is None:
        return
    into, name, loose_label = _where_to(offer, settings)
    words = "Make the dataset" if into == NEW else "Add to the dataset"
    if st.button(words, type="primary", icon=":material/check:", key="take"):
        _take(offer, into, name, loose_label, settings)


def last_report() -> None:
    """Say what became of the last upload: what is in, and what was refused and why."""
    report: ImportReport | None = st.session_state.get(REPORT)
    if report is None or st.session_state.get(uploader_key()):  # the next files are more urgent
        return
    whole = len(report.dataset.samples)
    if report.added == whole:
        classes = count(len(report.dataset.classes), "class", "classes")
        unlabelled = report.dataset.counts.get(UNLABELLED, 0)
        rest = f", {unlabelled:,} of them without label" if unlabelled else ""
        said = f"has {count(whole, 'image')} in {classes}{rest}."
    else:
        said = f"has {count(report.added, 'new image')}, {whole:,} in all."
    st.success(f"**{plain(report.dataset.name)}** {said}", icon=":material/check_circle:")
    if report.refused:
        title = f"{count(len(report.refused), 'file')} could not be used"
        with st.expander(title, icon=":material/error:", expanded=len(report.refused) <= 10):
            st.markdown(
                "\n".join(
                    f"- **{plain(no.file)}**  \n  {plain(no.reason)}" for no in report.refused[:200]
                )
            )


def _where_to(offer: Offer, settings: Settings) -> tuple[str, str, str]:
    """Ask which set the files go to, and which class the loose ones are of."""
    number = generation("upload")
    known_sets = [info.name for info in list_datasets(settings)]
    left, middle, right = st.columns(3)
    into = left.selectbox(
        "Put them into",
        [NEW, *known_sets],
        format_func=distinct([NEW, *known_sets], lambda name: name or "A new dataset"),
        key=f"into-{number}",
    )
    name = into
    if into == NEW:
        proposed = _free(offer.title, dataset_names(settings))
        name = middle.text_input("Its name", proposed, max_chars=60, key=f"name-{number}").strip()
    loose_label = ""
    if offer.loose:
        loose_label = right.text_input(
            "Class of the loose images",
            placeholder=UNLABELLED,
            max_chars=60,
            key=f"label-{number}",
            help="Images that are in no folder get this label. It can be changed later, image "
            "by image.",
        ).strip()
    return into, name, loose_label or UNLABELLED


def _take(offer: Offer, into: str, name: str, loose_label: str, settings: Settings) -> None:
    if not is_label(loose_label):
        raise BadDataset(
            "Expected a class name that a folder could have, and not the name of a part like "
            f"train or test. Received {loose_label!r}."
        )
    bar = st.progress(0.0, text="Reading the images …")

    def progress(done: int, total: int | None) -> None:
        if total and (done % 10 == 0 or done == total):
            bar.progress(done / total, text=f"{done:,} of {total:,} files read and checked")

    keep = import_dataset if into == NEW else add_to_dataset
    try:
        report = keep(name, offer.read(), settings, default_label=loose_label, progress=progress)
    finally:
        bar.empty()
    st.session_state[REPORT] = report
    renew("upload")
    for choice in (Choice.IMAGE, Choice.CLASS_FILTER, Choice.STRIP_PAGE):
        choose(choice, "")
    choose(Choice.DATASET, report.dataset.name)
    choose(Choice.DATASET_VIEW, DOCTOR if _to_decide(report.dataset.name, settings) else "")
    st.rerun()


def _to_decide(name: str, settings: Settings) -> bool:
    return any(KINDS[kind].level == DECIDE for kind in load_quality(name, settings).open)


def _free(title: str, taken: Sequence[str]) -> str:
    """A name that can be given: the title, or with a number if it is taken."""
    allowed = "".join(sign if sign.isalnum() or sign in " -_." else " " for sign in label(title))
    base = allowed.strip(" .")[:50].strip(" .") or "My images"
    names = [base, *(f"{base} {number}" for number in range(2, len(taken) + 3))]
    return next(name for name in names if name not in taken)


def _limits(limits: Limits) -> str:
    return (
        f"Up to {file_size(limits.file_bytes)} and {limits.pixels / 1e6:.0f} million pixels a "
        f"image; a zip up to {file_size(limits.archive_bytes)}, {limits.archive_files:,} files "
        f"and {file_size(limits.archive_unpacked_bytes)} unpacked, no entry more than "
        f"{limits.archive_ratio} times its packed size. JPEG, PNG, GIF, BMP, WebP and TIFF."
    )
