"""Images become a dataset, or are added to one: what was recognised first, then the import."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import streamlit as st

from tlcore.datasets.dataset import UNLABELLED
from tlcore.datasets.edits import is_label
from tlcore.datasets.importing import ImportReport, add_to_dataset, import_dataset
from tlcore.datasets.sources import list_incoming
from tlcore.datasets.store import dataset_names, scan_datasets
from tlcore.errors import BadDataset
from tlcore.settings import Limits, Settings
from tlcore.text import file_size
from tlcore.ui.format import escape_md, label, plural
from tlcore.ui.shell import open_at_top
from tlcore.ui.state import ADDING, Choice, choose, reset_widget, set_flag, widget_generation
from tlcore.ui.upload.import_sources import Offer, choose_source, uploader_key
from tlcore.ui.upload.import_summary import Brought, show_addition, show_classes, show_sentence
from tlcore.ui.upload.quality import PROBLEMS, count_problems
from tlcore.ui.widgets import unique_labels

NEW = ""  # no dataset is called so
LISTED = 200  # refused files named in the report
_REPORT, _BROUGHT = "_import-report", "_import-brought"


def import_form(settings: Settings) -> None:
    """Take images, show what was recognised, and make a dataset of them or add them to one.

    Raises:
        BadDataset: an archive cannot be read, the name is in use or not allowed, or no image is
            usable.
    """
    offer = choose_source(settings)
    if offer is None:
        st.session_state.pop(_BROUGHT, None)
        return
    brought = _bring(offer)
    with st.container(border=True, key="import-summary"):
        is_doubtful = show_sentence(brought)
        target, name = _choose_target(offer, brought, settings)
        if target != NEW:
            show_addition(brought, target, settings)
        if st.button(
            "Import" if target == NEW else "Add to dataset",
            type="secondary" if is_doubtful else "primary",
            icon=":material/check:",
            key="import",
            disabled=not brought.layout.images,
        ):
            _import(brought, target, name, settings)
        show_classes(brought, settings.limits)


def _bring(offer: Offer) -> Brought:
    """List the files once, however often the page is drawn."""
    brought: Brought | None = st.session_state.get(_BROUGHT)
    if brought is None or brought.key != offer.key:
        with st.spinner("Listing the files …"):
            incoming = offer.read()
            brought = Brought(offer.key, incoming, list_incoming(incoming))
        st.session_state[_BROUGHT] = brought
    return brought


def has_files() -> bool:
    """Whether files have been brought that are not imported yet."""
    return _BROUGHT in st.session_state


def show_limits(settings: Settings) -> None:
    """Show which formats and sizes are taken, folded away."""
    with st.expander("Formats and limits", icon=":material/info:"):
        st.markdown(_describe_limits(settings.limits))


def show_import_report() -> None:
    """Say what the last import took, and what it refused and why."""
    report: ImportReport | None = st.session_state.get(_REPORT)
    if report is None or st.session_state.get(uploader_key()):  # the next files are on their way
        return
    st.success(
        f"**{escape_md(report.dataset.name)}** {_describe_report(report)}",
        icon=":material/check_circle:",
    )
    if left_out := report.layout.describe_left_out():
        st.caption(escape_md(left_out))
    if report.refused:
        title = f"{plural(len(report.refused), 'file')} could not be used"
        with st.expander(title, icon=":material/error:", expanded=len(report.refused) <= 10):
            st.markdown(
                "\n".join(
                    f"- **{escape_md(refusal.file)}**  \n  {escape_md(refusal.reason)}"
                    for refusal in report.refused[:LISTED]
                )
            )


def clear_import_report() -> None:
    """Forget the last import's report."""
    st.session_state.pop(_REPORT, None)


def _describe_report(report: ImportReport) -> str:
    total = len(report.dataset.samples)
    if report.added < total:
        return f"has {plural(report.added, 'new image')}, {total:,} in all."
    unlabelled = report.dataset.counts.get(UNLABELLED, 0)
    rest = f", {unlabelled:,} of them without label" if unlabelled else ""
    classes = plural(len(report.dataset.classes), "class", "classes")
    return f"has {plural(total, 'image')} in {classes}{rest}."


def _choose_target(offer: Offer, brought: Brought, settings: Settings) -> tuple[str, str]:
    """Return the dataset that takes the files (or NEW), and its name."""
    number = widget_generation("upload")
    datasets = [info.name for info in scan_datasets(settings)[0]]
    left, middle, right = st.columns(3)
    target = left.selectbox(
        "Add to",
        [NEW, *datasets],
        format_func=unique_labels([NEW, *datasets], lambda name: name or "A new dataset"),
        key=f"target-{number}",
    )
    name = target
    if target == NEW:
        proposed = _free_name(offer.title, dataset_names(settings))
        name = middle.text_input("Name", proposed, max_chars=60, key=f"name-{number}").strip()
    if brought.layout.unlabelled or brought.choices.loose_label != UNLABELLED:
        key = f"label-{number}"

        def set_label() -> None:
            loose_label = st.session_state[key].strip() or UNLABELLED
            brought.read(replace(brought.choices, loose_label=loose_label))

        right.text_input(
            "Class of images in no folder",
            placeholder=UNLABELLED,
            max_chars=60,
            key=key,
            on_change=set_label,
            help="Images that are in no class folder get this label. It can be changed later, "
            "image by image.",
        )
    return target, name


def _import(brought: Brought, target: str, name: str, settings: Settings) -> None:
    loose_label = brought.choices.loose_label
    if not is_label(loose_label):
        raise BadDataset(
            "Expected a class name that a folder could have, and not the name of a split like "
            f"train or test. Received {loose_label!r}."
        )
    bar = st.progress(0.0, text="Reading the images …")

    def progress(done: int, total: int | None) -> None:
        if total and (done % 10 == 0 or done == total):
            bar.progress(done / total, text=f"{done:,} of {total:,} files read and checked")

    store = import_dataset if target == NEW else add_to_dataset
    try:
        report = store(name, brought.incoming, settings, choices=brought.choices, progress=progress)
    finally:
        bar.empty()
    st.session_state[_REPORT] = report
    st.session_state.pop(_BROUGHT, None)
    reset_widget("upload")
    set_flag(ADDING, False)
    for choice in (Choice.IMAGE, Choice.CLASS_FILTER, Choice.STRIP_PAGE):
        choose(choice, "")
    choose(Choice.DATASET, report.dataset.name)
    open_at_top()
    has_problems = count_problems(report.dataset.name, settings) > 0
    choose(Choice.DATASET_VIEW, PROBLEMS if has_problems else "")
    st.rerun()


def _free_name(title: str, names: Sequence[str]) -> str:
    """Return a name for a dataset: the title, with a number if it is in use."""
    allowed = "".join(sign if sign.isalnum() or sign in " -_." else " " for sign in label(title))
    base = allowed.strip(" .")[:50].strip(" .") or "My images"
    proposals = [base, *(f"{base} {number}" for number in range(2, len(names) + 3))]
    return next(name for name in proposals if name not in names)


def _describe_limits(limits: Limits) -> str:
    return (
        f"Up to {file_size(limits.file_bytes)} and {limits.pixels / 1e6:.0f} million pixels an "
        f"image; an archive up to {file_size(limits.archive_bytes)}, {limits.archive_files:,} "
        f"files and {file_size(limits.archive_unpacked_bytes)} unpacked. JPEG, PNG, GIF, BMP, "
        "WebP, TIFF, HEIC, AVIF and JPEG 2000; zip, tar (gz, bz2, xz) and image Parquet; MP4, MOV "
        "and WebM, of which two frames a second are taken."
    )
