"""The Upload page: bringing files, what became of them, and the sets that are there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import streamlit as st

from tlcore.errors import BadDataset
from tlcore.images.incoming import Incoming
from tlcore.images.sources import from_uploads, from_zip
from tlcore.images.store import (
    DEFAULT_LABEL,
    ImportReport,
    add_to_set,
    delete_set,
    import_set,
    list_sets,
)
from tlcore.settings import Limits, Settings
from tlcore.ui.selecting import select
from tlcore.ui.sets import classes_with_tiles, open_set, set_names, set_title
from tlcore.ui.state import Choice, choose, generation, renew
from tlcore.ui.words import count, file_size, label, plain

if TYPE_CHECKING:
    from streamlit.runtime.uploaded_file_manager import UploadedFile

NEW = "A new data set"
REPORT = "_upload-report"


def bring(settings: Settings) -> None:
    """Take files and make a data set of them, or add them to one.

    Raises:
        BadDataset: the name is taken or not allowed, or nothing was usable.
    """
    number = generation("upload")
    files = st.file_uploader(
        "Pictures, or a zip with a folder for each class",
        accept_multiple_files=True,
        key=_uploader_key(),
        max_upload_size=settings.limits.archive_bytes // 2**20,
        help="In a zip the folder's name is the class: cats/1.jpg, dogs/7.jpg. Folders named "
        "train and val on top are kept as the split.",
    )
    st.caption(_limits(settings.limits))
    if not files:
        return
    into, name, loose_label = _where_to(files, number, settings)
    words = "Make the data set" if into == NEW else "Add to the data set"
    if st.button(words, type="primary", icon=":material/check:", key="take"):
        _take(files, into, name, loose_label, settings)


def last_report() -> None:
    """Say what became of the last upload: what is in, and what was refused and why."""
    report: ImportReport | None = st.session_state.get(REPORT)
    if report is None or st.session_state.get(_uploader_key()):  # the next files are more urgent
        return
    whole = len(report.dataset.samples)
    if report.added == whole:
        classes = count(len(report.dataset.classes), "class", "classes")
        said = f"has {count(whole, 'picture')} in {classes}."
    else:
        said = f"has {count(report.added, 'new picture')}, {whole:,} in all."
    st.success(f"**{plain(report.dataset.name)}** {said}", icon=":material/check_circle:")
    if report.refused:
        title = f"{count(len(report.refused), 'file')} could not be used"
        with st.expander(title, icon=":material/error:", expanded=len(report.refused) <= 10):
            st.markdown(
                "\n".join(
                    f"- **{plain(no.file)}**  \n  {plain(no.reason)}" for no in report.refused[:200]
                )
            )


def set_view(settings: Settings) -> None:
    """Choose a set, see its classes, delete it.

    Raises:
        BadDataset: the chosen set cannot be read.
    """
    which, more = st.columns([5, 2], vertical_alignment="bottom")
    with which:
        name = select("Data set", set_names(settings), Choice.SET, words=set_title)
    dataset = open_set(name, settings)
    with more, st.popover("Delete", icon=":material/delete:", width="stretch"):
        st.markdown(f"Delete **{plain(set_title(name))}** and its pictures for good?")
        st.caption("Heads that have learned from it stay.")
        if st.button("Yes, delete it", type="primary", key="delete"):
            delete_set(name, settings)
            choose(Choice.SET, "")
            st.session_state.pop(REPORT, None)
            st.rerun()
    if len(dataset.classes) == 1:
        st.caption("One class. To teach a head, bring pictures with a second label.")
    classes_with_tiles(dataset, settings, key="gallery", side=96, rows=2, shown=22)


def _where_to(
    files: Sequence[UploadedFile], number: int, settings: Settings
) -> tuple[str, str, str]:
    """Ask which set the files go to, and which class the loose ones are of."""
    known = [info.name for info in list_sets(settings)]
    left, middle, right = st.columns(3)
    into = left.selectbox("Put them into", [NEW, *known], key=f"into-{number}")
    name = into
    if into == NEW:
        proposed = _proposal(files, known)
        name = middle.text_input("Its name", proposed, max_chars=60, key=f"name-{number}").strip()
    loose_label = DEFAULT_LABEL
    if any(not _is_zip(file) for file in files):
        loose_label = right.text_input(
            "Class of the loose pictures",
            placeholder=DEFAULT_LABEL,
            key=f"label-{number}",
            help="Pictures that are in no folder get this label.",
        ).strip()
    return into, name, loose_label or DEFAULT_LABEL


def _take(
    files: Sequence[UploadedFile], into: str, name: str, loose_label: str, settings: Settings
) -> None:
    bar = st.progress(0.0, text="Reading the pictures …")

    def progress(done: int, total: int | None) -> None:
        if total and (done % 10 == 0 or done == total):
            bar.progress(done / total, text=f"{done:,} of {total:,} files")

    keep = import_set if into == NEW else add_to_set
    try:
        report = keep(
            name,
            _incoming(files, settings.limits),
            settings,
            default_label=loose_label,
            progress=progress,
        )
    finally:
        bar.empty()
    st.session_state[REPORT] = report
    renew("upload")
    for choice in (Choice.IMAGE, Choice.LABEL, Choice.STRIP):
        choose(choice, "")
    choose(Choice.SET, report.dataset.name)
    st.rerun()


def _incoming(files: Sequence[UploadedFile], limits: Limits) -> list[Incoming]:
    """All files that were sent, those in zips as well.

    Raises:
        BadDataset: a zip that cannot be opened.
    """
    loose = [(file.name, file.getvalue()) for file in files if not _is_zip(file)]
    inside = [item for file in files if _is_zip(file) for item in _unzip(file, limits)]
    return [*from_uploads(loose), *inside]


def _unzip(file: UploadedFile, limits: Limits) -> list[Incoming]:
    try:
        return from_zip(file, limits)
    except BadDataset as error:
        raise BadDataset(str(error).replace("The upload", file.name, 1)) from error


def _uploader_key() -> str:
    return f"upload-{generation('upload')}"


def _is_zip(file: UploadedFile) -> bool:
    return str(file.name).lower().endswith(".zip")


def _proposal(files: Sequence[UploadedFile], known: Sequence[str]) -> str:
    """A name that is free: the zip's, or "My pictures"."""
    zips = [file.name[:-4] for file in files if _is_zip(file)]
    wanted = label(zips[0]) if zips else "My pictures"
    allowed = "".join(sign if sign.isalnum() or sign in " -_." else " " for sign in wanted)
    base = allowed.strip(" .")[:50] or "My pictures"
    names = [base, *(f"{base} {number}" for number in range(2, len(known) + 3))]
    return next(name for name in names if name not in known)


def _limits(limits: Limits) -> str:
    return (
        f"Up to {file_size(limits.file_bytes)} and {limits.pixels / 1e6:.0f} million pixels a "
        f"picture; a zip up to {file_size(limits.archive_bytes)} and "
        f"{limits.archive_files:,} files. JPEG, PNG, GIF, BMP, WebP and TIFF."
    )
