"""What was recognised in files that a person brings, before anything is stored; other readings."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import streamlit as st
from PIL import ImageOps

from tlcore.datasets.dataset import SPLIT_NAMES, SPLITS, UNLABELLED, Incoming
from tlcore.datasets.image_io import decode_image
from tlcore.datasets.importing import preview_addition
from tlcore.datasets.layout import (
    FOLDERS,
    NAMES,
    TABLE,
    Alternative,
    Layout,
    LayoutChoices,
    ListedFile,
    read_layout,
)
from tlcore.datasets.layout_folders import CLASS, MEANINGS, NO_LABEL, OUT, OUTER
from tlcore.errors import BadImage
from tlcore.settings import Limits, Settings
from tlcore.ui.format import escape_md, label
from tlcore.ui.widgets import unique_labels

SHOWN = 3  # first images of a class
ILLUSTRATED = 20  # classes whose first images are shown
ROWS = 6  # of the table before it scrolls
CHOSEN_FOLDERS = 12  # whose meaning can be chosen
SIDE = 64  # pixels of a first image
SOURCES = {"": "As recognised", FOLDERS: "Folders", NAMES: "File names", TABLE: "A table"}
FOLDER_WORDS = {
    "train": "Training",
    "val": "Validation",
    "test": "Test",
    OUTER: "Around the classes",
    CLASS: "A class",
    NO_LABEL: "Images without label",
    OUT: "Left out",
}


@dataclass
class Brought:
    """Files that a person has brought, and how they are read; kept in the session."""

    key: str  # of these files
    incoming: list[Incoming]
    listed: list[ListedFile]
    choices: LayoutChoices = field(default_factory=LayoutChoices)
    layout: Layout = field(init=False)
    levels: dict[int, str] = field(init=False)  # folder level, from 1 → its first folders
    thumbnails: dict[str, str | None] = field(default_factory=dict)  # by file; None: no image
    additions: dict[tuple[str, LayoutChoices], str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.read(self.choices)

    def read(self, choices: LayoutChoices) -> None:
        """Read the files in another way."""
        self.choices = choices
        self.layout = read_layout(self.listed, choices)
        self.levels = _name_levels(self.listed, self.layout)

    def thumbnail(self, position: int, limits: Limits) -> str | None:
        """Return an image as a data URI, decoded once; None where it cannot be read."""
        item = self.incoming[position]
        if item.file not in self.thumbnails:
            self.thumbnails[item.file] = _draw_thumbnail(item, limits)
        return self.thumbnails[item.file]


def show_addition(brought: Brought, name: str, settings: Settings) -> None:
    """Say what would be new in a dataset, and what is there already."""
    key = (name, brought.choices)
    if key not in brought.additions:
        addition = preview_addition(name, brought.incoming, brought.layout, settings)
        brought.additions[key] = addition.describe()
    st.caption(escape_md(brought.additions[key]))


def show_sentence(brought: Brought) -> bool:
    """Say what was recognised; return whether a likelier reading than no classes is offered."""
    layout = brought.layout
    st.markdown(escape_md(layout.describe(label)))
    likely = layout.alternatives[:1] if not layout.classes else ()
    for alternative in likely:
        _offer(alternative, brought, "primary")
    return bool(likely)


def show_classes(brought: Brought, limits: Limits) -> None:
    """Show the classes with their first images, what is left out, and other readings."""
    if brought.layout.images:
        _class_table(brought, limits)
    if left_out := brought.layout.describe_left_out():
        st.caption(escape_md(left_out))
    _choose_reading(brought)


def _choose_reading(brought: Brought) -> None:
    """Let the person read the files otherwise; folded away."""
    with st.expander("Read it otherwise", icon=":material/alt_route:"):
        for alternative in brought.layout.alternatives[0 if brought.layout.classes else 1 :]:
            _offer(alternative, brought, "secondary")
        left, right = st.columns(2)
        with left:
            _choose_labels(brought)
        with right:
            _choose_level(brought)
        _choose_folders(brought)
        if brought.choices != LayoutChoices():
            st.button(
                "As recognised",
                icon=":material/restart_alt:",
                on_click=brought.read,
                args=(LayoutChoices(),),
            )


def _offer(
    alternative: Alternative, brought: Brought, kind: Literal["primary", "secondary"]
) -> None:
    st.button(
        escape_md(alternative.title),
        key=f"reading-{alternative.title}",
        type=kind,
        icon=":material/label:",
        on_click=brought.read,
        args=(alternative.choices,),
    )


def _class_table(brought: Brought, limits: Limits) -> None:
    """Show the counts of each class by split, with its first images."""
    first, counts = _first_images(brought.layout), dict(_counts(brought.layout))
    splits = [split for split in (*SPLITS, None) if any(split in row for row in counts.values())]
    rows: list[dict[str, Any]] = []
    for place, (name, by_split) in enumerate(counts.items()):
        shown = first[name] if place < ILLUSTRATED else []
        images = [brought.thumbnail(at, limits) or "" for at in shown]
        images += [""] * (SHOWN - len(images))
        row: dict[str, Any] = {"Class": name if name == UNLABELLED else label(name)}
        row |= {_title(split, splits): by_split.get(split, 0) for split in splits}
        rows.append(row | {str(number): each for number, each in enumerate(images)})
    columns = {
        str(number): st.column_config.ImageColumn("" if number else "First images", width=SIDE)
        for number in range(SHOWN)
    }
    height = 38 + 56 * min(len(rows), ROWS)
    st.dataframe(rows, hide_index=True, row_height=56, height=height, column_config=columns)


def _counts(layout: Layout) -> Iterator[tuple[str, dict[str | None, int]]]:
    yield from ((name, dict(counts)) for name, counts in layout.counts.items())
    if layout.unlabelled:
        places = [place for place in layout.placements if not place.left_out]
        without = [place.split for place in places if place.label == UNLABELLED]
        splits = [split for split in (*SPLITS, None) if split in without]
        yield UNLABELLED, {split: without.count(split) for split in splits}


def _first_images(layout: Layout) -> dict[str, list[int]]:
    """Return the positions of the first images of each class."""
    first: dict[str, list[int]] = {}
    for position, place in enumerate(layout.placements):
        if not place.left_out:
            some = first.setdefault(place.label, [])
            if len(some) < SHOWN:
                some.append(position)
    return first


def _title(split: str | None, splits: Sequence[str | None]) -> str:
    if split:
        return SPLIT_NAMES[split].capitalize()
    return "In no split" if len(splits) > 1 else "Images"


def _draw_thumbnail(item: Incoming, limits: Limits) -> str | None:
    try:
        image = decode_image(item.read(), item.file, limits, draft=SIDE)
    except (BadImage, OSError):
        return None  # the import names it and why
    stored = io.BytesIO()
    ImageOps.fit(image, (SIDE, SIDE)).save(stored, "JPEG", quality=80)
    return f"data:image/jpeg;base64,{base64.b64encode(stored.getvalue()).decode('ascii')}"


def _choose_labels(brought: Brought) -> None:
    """Choose where the labels come from, and which column of a table has them."""
    options = ["", FOLDERS, NAMES, *([TABLE] if brought.layout.tables else [])]
    _select("Labels from", options, "labels", brought, words=SOURCES.__getitem__)
    table = brought.layout.table
    if table:
        _select("Column of labels", ["", *table.columns], "label_column", brought,
                words=lambda name: name or "As recognised")  # fmt: skip
        _select("Column of file names", ["", *table.columns], "file_column", brought,
                words=lambda name: name or "As recognised")  # fmt: skip


def _name_levels(listed: Sequence[ListedFile], layout: Layout) -> dict[int, str]:
    """Return the first folders of each level that hold images; once a reading, not a page."""
    names: dict[int, dict[str, None]] = {}
    for file, place in zip(listed, layout.placements, strict=True):
        if not place.left_out:
            for level, folder in enumerate(file.name.replace("\\", "/").split("/")[:-1], start=1):
                names.setdefault(level, {})[folder] = None
    return {
        level: f"{', '.join(list(some)[:3])}{' …' if len(some) > 3 else ''}"
        for level, some in names.items()
    }


def _choose_level(brought: Brought) -> None:
    words = {0: "As recognised"} | {
        level: f"Level {level}: {folders}" for level, folders in brought.levels.items()
    }
    _select("Folders that are the classes", list(words), "level", brought, words=words.__getitem__)


def _choose_folders(brought: Brought) -> None:
    """Choose what each folder that is no class stands for."""
    chosen = dict(brought.choices.folders)
    for folder in brought.layout.folders[:CHOSEN_FOLDERS]:

        def choose(path: str = folder.path) -> None:
            meanings = chosen | {path: st.session_state[f"folder-{path}"]}
            brought.read(replace(brought.choices, folders=tuple(meanings.items())))

        st.session_state[f"folder-{folder.path}"] = folder.meaning
        st.selectbox(
            f"`{folder.path}` ({folder.images:,})",
            MEANINGS,
            format_func=unique_labels(MEANINGS, FOLDER_WORDS.__getitem__),
            key=f"folder-{folder.path}",
            on_change=choose,
        )


def _select(title: str, options: Sequence[Any], name: str, brought: Brought, *, words: Any) -> None:
    """Show a field of the choices as a drop-down."""
    key = f"reading-{name}"
    value = getattr(brought.choices, name)
    st.session_state[key] = value if value in options else options[0]

    def choose() -> None:
        brought.read(replace(brought.choices, **{name: st.session_state[key]}))

    st.selectbox(
        title, options, format_func=unique_labels(options, words), key=key, on_change=choose
    )
