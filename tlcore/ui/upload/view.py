"""The Upload page: bring images, then one row on the dataset and its images, problems, splits."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory

import streamlit as st
from markupsafe import Markup

from tlcore.datasets import store
from tlcore.datasets.dataset import UNLABELLED
from tlcore.datasets.edits import discard_edits, has_damaged_edits, undo_edit
from tlcore.datasets.export import export_dataset
from tlcore.datasets.sample_dataset import SAMPLE_NAME, dataset_title
from tlcore.datasets.store import DatasetState
from tlcore.errors import BadDataset
from tlcore.settings import Settings
from tlcore.text import file_size
from tlcore.ui.components.dataset_picker import open_dataset, select_dataset
from tlcore.ui.format import escape_md, label, plural
from tlcore.ui.shell import COMPARE, FINE_TUNE, boundary, next_steps, show_error
from tlcore.ui.state import ADDING, Choice, choose, flag, set_flag
from tlcore.ui.upload import import_form as form
from tlcore.ui.upload.labels import images_view
from tlcore.ui.upload.overview import SPLIT_TITLES, about_dataset, edit_button, splits_view
from tlcore.ui.upload.quality import PROBLEMS, count_problems, problems_view
from tlcore.ui.widgets import segments, show_html

View = Callable[[DatasetState, Settings], None]
VIEWS: dict[str, View] = {"images": images_view, PROBLEMS: problems_view, "splits": splits_view}
NAMED, ON_HOVER = 6, 60  # classes whose counts stand in the row, and in its tooltip


def upload_view(settings: Settings) -> None:
    """The drop zone while there is no dataset; afterwards the datasets, and the form on demand."""
    datasets, damaged = store.scan_datasets(settings)
    if datasets or damaged:
        _draw_dataset(settings)
    else:
        with st.container(key="drop-zone"), boundary():
            form.import_form(settings)
        icon = ":material/play_arrow:"
        if not form.has_files() and st.button("Try the sample", icon=icon, key="sample"):
            open_dataset(SAMPLE_NAME, settings)
            choose(Choice.DATASET, SAMPLE_NAME)
            st.rerun()
        form.show_limits(settings)


def _draw_dataset(settings: Settings) -> None:
    """Choose a dataset and show it; of one that cannot be read, say what can be done."""
    which, facts, buttons = st.columns([6, 7, 15], vertical_alignment="bottom", gap="small")
    with which:
        name = select_dataset(settings)
    row = buttons.container(horizontal=True, horizontal_alignment="right", gap="small")
    try:
        open_dataset(name, settings)  # draws the sample if need be
        state = store.load_state(name, settings)
    except BadDataset as error:
        show_error(error)
        state = None
    with facts:
        if state:
            _facts(state)
    with row:
        _draw_actions(name, state, settings)
    form.show_import_report()
    if flag(ADDING):
        with st.container(border=True, key="import-form"), boundary():
            form.import_form(settings)
            form.show_limits(settings)
    if state:
        _draw_views(state, settings)


def _draw_actions(name: str, state: DatasetState | None, settings: Settings) -> None:
    """What can be done with a dataset; its state is None where it cannot be read."""
    if state is None and has_damaged_edits(name, settings):
        _discard_edits(name, settings)
    if state and state.edits:
        _undo(state, settings)
    is_open = flag(ADDING)
    st.button(
        "Close" if is_open else "Add images",
        icon=":material/close:" if is_open else ":material/add_photo_alternate:",
        key="add-images",
        on_click=set_flag,
        args=(ADDING, not is_open),
    )
    with st.popover("Rename, download or delete", icon=":material/more_horiz:", key="dataset-more"):
        if state:
            _download(state, settings)
        _rename_or_delete(name, settings)
    if state:
        _train(state)


def _draw_views(state: DatasetState, settings: Settings) -> None:
    problems = count_problems(state.name, settings)
    titles = {name: name.capitalize() for name in VIEWS}
    if problems:
        titles[PROBLEMS] += f" ({problems})"
    view = segments("View", list(VIEWS), Choice.DATASET_VIEW, words=titles.__getitem__)
    with boundary():
        VIEWS[view](state, settings)
    about_dataset(state, settings)
    next_steps(COMPARE, FINE_TUNE)


def _facts(state: DatasetState) -> None:
    """How many images, of which classes, in which splits."""
    counts = state.dataset.counts
    classes = plural(len(state.dataset.classes), "class", "classes")
    facts = [plural(len(state.included), "image"), classes]
    if 1 < len(state.dataset.classes) <= NAMED:
        facts.append(" / ".join(f"{counts[name]:,}" for name in state.dataset.classes))
    if unlabelled := counts.get(UNLABELLED):
        facts.append(f"{unlabelled:,} without label")
    if excluded := len(state.samples) - len(state.included):
        facts.append(f"{excluded:,} excluded")
    splits = state.dataset.counts_by_split
    if set(splits) != {None}:
        facts += [f"{sum(some.values()):,} {SPLIT_TITLES[split]}" for split, some in splits.items()]
    pieces = Markup("").join(Markup("<span>{}</span>").format(fact) for fact in facts)
    show_html(
        '<p class="facts" title="{title}">{pieces}</p>',
        title=", ".join(f"{label(name)}: {n:,}" for name, n in list(counts.items())[:ON_HOVER]),
        pieces=pieces,
    )


def _train(state: DatasetState) -> None:
    """The step that comes next."""
    classes = len(state.dataset.classes)
    needs = "Training needs two classes: label images, or add images of another class."
    if st.button(
        f"Train on these {classes} classes" if classes > 1 else "Train",
        type="primary",
        icon=FINE_TUNE.icon,
        key="train",
        disabled=classes < 2,
        help=needs if classes < 2 else None,
    ):
        choose(Choice.RUN, "")
        st.switch_page(FINE_TUNE.file)


def _undo(state: DatasetState, settings: Settings) -> None:
    edit = escape_md(state.edits[-1].description)
    help_ = f"Undo: {edit}. Every edit of this dataset can be undone, the last one first."
    if st.button("Undo", icon=":material/undo:", key="undo", help=help_):
        undo_edit(state.name, settings)
        st.toast(f"Undone: {edit}", icon=":material/undo:")
        st.rerun()


def _discard_edits(name: str, settings: Settings) -> None:
    """Offer the way out where the edits cannot be read."""
    help_ = "Its images and their first labels are whole. The damaged file stays beside them."
    words, icon = "Return to the labels they came with", ":material/restart_alt:"
    edit_button(words, discard_edits, name, settings, icon=icon, key="discard-edits", help=help_)


def _download(state: DatasetState, settings: Settings) -> None:
    """Offer the dataset as it is now, without what is excluded, as a zip of class folders."""
    size = _count_bytes(state.dataset.hash, [sample.path for sample in state.included])
    most = settings.limits.archive_bytes
    st.download_button(
        f"Download ({file_size(size)})",
        lambda: _zip_dataset(state.name, settings),  # made when it is clicked
        f"{state.name} {date.today():%Y-%m-%d}.zip",
        "application/zip",
        icon=":material/download:",
        key="dataset-download",
        on_click="ignore",
        disabled=size > most or not state.included,
        help="A zip of class folders, with your labels and splits and without excluded images."
        if size <= most
        else f"More than {file_size(most)}: use `python -m tlcore dataset export` on the server.",
    )


@st.cache_data(show_spinner=False, max_entries=100)
def _count_bytes(data_hash: str, _paths: list[Path]) -> int:
    return sum(path.stat().st_size for path in _paths if path.exists())


def _zip_dataset(name: str, settings: Settings) -> bytes:
    with TemporaryDirectory(dir=settings.home) as folder:
        target = Path(folder) / "dataset.zip"
        export_dataset(name, target, settings)
        return target.read_bytes()


def _rename_or_delete(name: str, settings: Settings) -> None:
    new = st.text_input("New name", name, max_chars=60, key=f"rename-{name}").strip()
    st.caption("Runs that were trained on it remember the old name.")
    if st.button("Rename", key="rename") and new != name:
        with boundary():
            store.rename_dataset(name, new, settings)
            choose(Choice.DATASET, new)
            form.clear_import_report()
            st.rerun()
    st.divider()
    st.caption("The dataset and its images go for good. Heads that were trained on it stay.")
    words = f"Delete {escape_md(dataset_title(name))}"
    if st.button(words, icon=":material/delete:", key="dataset-delete"):
        store.delete_dataset(name, settings)
        choose(Choice.DATASET, "")
        choose(Choice.DATASET_VIEW, "")
        form.clear_import_report()
        st.rerun()
