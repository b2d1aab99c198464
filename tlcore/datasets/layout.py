"""Layout of a dataset on its way in: label and split of every file, by names and small tables.

No pixel is read. What people have is read by these rules, each in a module of its own:

1. A file may be an image, or it is left out with a reason (hidden, a text …): ``folder_names``.
2. Folders are outer folders, splits or classes, or their images have no label:
   ``layout_folders``.
3. A table beside the images that names most of them gives labels, splits or both:
   ``layout_tables``. Labels in file names ("cat.0.jpg") are offered, never assumed: here.

A person's ``LayoutChoices`` come before all rules. Every image has just one place: in a class,
without label, or left out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from tlcore.datasets import layout_folders as folders
from tlcore.datasets.dataset import SPLIT_NAMES, SPLITS, UNLABELLED
from tlcore.datasets.folder_names import (
    group_by_name,
    is_split_name,
    is_system_file,
    label_from_name,
    may_be_image,
)
from tlcore.datasets.image_io import has_image_ending
from tlcore.datasets.layout_folders import Folder, FolderMeaning, FolderPlace
from tlcore.datasets.layout_tables import TableReading, read_tables
from tlcore.text import composed, natural_key, plural

EXPECTED_LAYOUT = (
    "a folder for each class with its images inside (ants/1.jpg, bees/2.jpg), "
    "or train/ and val/ with such folders in them"
)
FOLDERS, NAMES, TABLE = "folders", "names", "table"
LABEL_SOURCES = (FOLDERS, NAMES, TABLE)
SYSTEM, NO_IMAGE = "hidden or of the system", "other than images"
UNUSED_FOLDER, IN_USE = "in folders that are not used", "read as a table"
_SHOWN = 6  # names in a sentence


@dataclass(frozen=True)
class ListedFile:
    """A file of a listing; its pixels are never looked at."""

    name: str  # with its folders, "set/train/ants/1.jpg"; "/" or "\\" between them
    content: bytes | None = None  # of a small table (``layout_tables``), else None


@dataclass(frozen=True)
class LayoutChoices:
    """How a person wants a listing to be read; each default leaves it to the rules."""

    labels: str = ""  # one of LABEL_SOURCES
    level: int = 0  # of the folders that are the classes, 1 for the outermost; for FOLDERS
    # (path or name of a folder, one of ``layout_folders.MEANINGS``)
    folders: tuple[tuple[str, str], ...] = ()
    table: str = ""  # its name, for TABLE; also where it gives nothing but splits
    file_column: str = ""  # of the table, by its heading, or "column 1" where it has none
    label_column: str = ""
    split_column: str = ""
    loose_label: str = UNLABELLED  # of images in no class folder, unless they surely have none


@dataclass(frozen=True)
class Placement:
    """Where one file of the listing goes."""

    label: str = UNLABELLED  # its class, or UNLABELLED
    split: str | None = None  # one of SPLITS, or None
    left_out: str = ""  # why it is left out; "" for an image that comes into the dataset


@dataclass(frozen=True)
class LeftOut:
    """Files that are left out for one reason."""

    reason: str  # SYSTEM, NO_IMAGE or UNUSED_FOLDER
    files: int
    images: int  # of these files, by their endings
    examples: tuple[str, ...]  # what they are, most frequent first: ".DS_Store", "*.csv", "masks"


@dataclass(frozen=True)
class Alternative:
    """Another possible reading."""

    title: str  # a question: "Take 2 labels from the file names? cat 20, dog 20"
    choices: LayoutChoices  # that select it


@dataclass(frozen=True)
class Layout:
    """A listing as it was understood."""

    files: tuple[ListedFile, ...]  # as they were listed
    placements: tuple[Placement, ...]  # of each file, in this order
    choices: LayoutChoices  # by which it was read
    labels_from: str  # one of LABEL_SOURCES, "" where no image has a label
    level: int  # of the class folders, 1 for the outermost; 0 for none or several levels
    folders: tuple[FolderMeaning, ...]  # that are neither classes nor in one, outermost first
    tables: tuple[TableReading, ...]  # that name images, likeliest first
    table: TableReading | None  # the one in use, for labels or splits
    filled: int  # images whose label is from the table while those of others are from folders
    alternatives: tuple[Alternative, ...]  # likeliest first

    @cached_property
    def counts(self) -> Mapping[str, Mapping[str | None, int]]:
        """Images of each class by split, classes as people count ("2" before "10").

        Every class has all splits that occur among labelled images, in the order of SPLITS; None
        last, for images without split.
        """
        numbers = Counter((p.label, p.split) for p in self.placements if not p.left_out)
        labels = sorted({label for label, _ in numbers} - {UNLABELLED}, key=natural_key)
        occurring = {split for label, split in numbers if label != UNLABELLED}
        splits = [split for split in (*SPLITS, None) if split in occurring]
        return {label: {split: numbers[label, split] for split in splits} for label in labels}

    @property
    def classes(self) -> tuple[str, ...]:
        return tuple(self.counts)

    @cached_property
    def images(self) -> int:
        """How many files come into the dataset if all can be read, in classes and unlabelled."""
        return sum(not place.left_out for place in self.placements)

    @property
    def unlabelled(self) -> int:
        """How many of ``images`` have no label."""
        return self.images - sum(sum(by_split.values()) for by_split in self.counts.values())

    @cached_property
    def left_out(self) -> tuple[LeftOut, ...]:
        """Files that are left out, by reason; a table in use is none of them."""
        files: dict[str, list[str]] = {}
        for file, place in zip(self.files, self.placements, strict=True):
            files.setdefault(place.left_out, []).append(normal_name(file.name))
        reasons = (UNUSED_FOLDER, NO_IMAGE, SYSTEM)
        return tuple(_left_out(reason, files[reason]) for reason in reasons if reason in files)

    def describe(self, show: Callable[[str], str] = str) -> str:
        """Return what was understood, in a few sentences for a person; folders in backticks.

        Args:
            show: how a class's name is written: escaped on a page, ImageNet's ids with their word.
        """
        return " ".join(_sentences(self, show))

    def describe_left_out(self) -> str:
        """Return what is left out and why, in one line; "" if nothing is."""
        if not self.left_out:
            return ""
        number = sum(some.files for some in self.left_out)
        reasons = (f"{s.files:,} {s.reason} ({', '.join(s.examples)})" for s in self.left_out)
        are = "file is" if number == 1 else "files are"
        return f"{number:,} {are} left out: {'; '.join(reasons)}."


@dataclass(frozen=True)
class _Reading:
    """What was read of a listing, before it is put together."""

    choices: LayoutChoices
    images: Mapping[int, str]  # position in the listing → name, of images that are not left out
    root: Folder
    places: Mapping[int, FolderPlace]
    tables: list[TableReading]

    @cached_property
    def by_folder(self) -> Mapping[int, str]:
        """The class of each image whose folders name one."""
        labels = ((at, self.places[at].label) for at in self.images)
        return {at: label for at, label in labels if label and label != UNLABELLED}

    @cached_property
    def same(self) -> Mapping[str, str] | None:
        """The first table's labels by the names of class folders; None where it contradicts them.

        Images that have the same label have the same class, which may have another name (an id).
        """
        labels = self.tables[0].labels if self.tables else {}
        pairs = {(label, self.by_folder[at]) for at, label in labels.items()
                 if at in self.by_folder}  # fmt: skip
        same = dict(pairs)
        return same if len(pairs) == len(same) == len(set(same.values())) else None

    @cached_property
    def labels_from(self) -> str:
        if self.choices.labels:
            return self.choices.labels
        has_classes = len(set(self.by_folder.values())) > 1
        table = self.tables[0] if self.tables and self.tables[0].labels else None
        prefers = self.choices.table or (table and table.is_sure and self.same is None)
        if table and (prefers or not has_classes):
            return TABLE
        return FOLDERS if self.by_folder else ""

    @cached_property
    def table(self) -> TableReading | None:
        """The table in use: one that agrees with the folders may say what they do not."""
        if self.choices.table or self.labels_from == TABLE:
            return self.tables[0] if self.tables else None
        if self.choices.labels or not self.tables or self.same is None:
            return None
        table = self.tables[0]
        adds = any(at not in self.by_folder for at in table.labels) or any(
            self.places[at].split != split for at, split in table.splits.items()
        )
        return table if adds else None

    @property
    def filled(self) -> int:
        labels = self.table.labels if self.table and self.labels_from == FOLDERS else {}
        return sum(at not in self.by_folder for at in labels)

    def place(self, at: int) -> Placement:
        """Return where an image goes that is not left out."""
        by_table = self.table.labels.get(at, "") if self.table else ""
        split = self.table.splits.get(at) if self.table else None
        split = split or self.places[at].split
        if self.labels_from == TABLE:
            return Placement(by_table or UNLABELLED, split)
        if self.labels_from == NAMES:
            return Placement(label_from_name(self.images[at]) or UNLABELLED, split)
        loose = self.places[at].label or self.choices.loose_label
        by_table = (self.same or {}).get(by_table, by_table)
        return Placement(self.by_folder.get(at) or by_table or loose, split)


def read_layout(files: Iterable[ListedFile], choices: LayoutChoices | None = None) -> Layout:
    """Read what a listing means. Every listing has a reading, whatever the choices.

    A choice that fits nothing in the listing (a level that no folder has, a table that is not
    there) leaves images without label.

    Args:
        files: all files, also those that are no images: they are counted as left out.
        choices: how a person wants it to be read; None leaves all to the rules.
    """
    choices = choices or LayoutChoices()
    listed = tuple(files)
    names = [normal_name(file.name) for file in listed]
    reasons = _left_out_reasons(names)
    images = {at: name for at, name in enumerate(names) if not reasons[at]}
    root, places = folders.read_folders(images, choices.level, choices.folders)
    for at in images:
        if places[at].is_out:
            reasons[at] = UNUSED_FOLDER
    used = {at: name for at, name in images.items() if not reasons[at]}
    contents = {
        name: file.content for name, file in zip(names, listed, strict=True) if file.content
    }
    chosen = (choices.table, choices.file_column, choices.label_column, choices.split_column)
    splits = {at: places[at].split for at in used}
    read = _Reading(choices, used, root, places, read_tables(contents, used, splits, chosen))
    in_use = set(read.table.name.split(", ")) if read.table else set()
    placements = tuple(
        Placement(left_out=IN_USE if name in in_use else reason) if reason else read.place(at)
        for at, (name, reason) in enumerate(zip(names, reasons, strict=True))
    )
    labelled = sum(place.label != UNLABELLED for place in placements)
    return Layout(
        listed,
        placements,
        choices,
        read.labels_from,
        root.class_level(),
        root.meanings(),
        tuple(read.tables),
        read.table,
        read.filled,
        tuple(_alternatives(read, 2 * labelled < len(used))),
    )


def normal_name(file: str) -> str:
    """Return a file's name with "/" between folders, composed (NFC): macOS decomposes names."""
    return composed(file.replace("\\", "/"))


def _left_out_reasons(names: list[str]) -> list[str]:
    """Return why each file is left out, "" for images.

    Where none may be an image by its name, all but system files are worth a look.
    """
    system = [is_system_file(name) for name in names]
    may_be = [may_be_image(name) for name in names]
    has_images = any(may and not left for may, left in zip(may_be, system, strict=True))
    return [
        SYSTEM if left else NO_IMAGE if has_images and not may else ""
        for may, left in zip(may_be, system, strict=True)
    ]


def _alternatives(read: _Reading, few_labelled: bool) -> Iterator[Alternative]:
    """Yield the readings that are possible instead."""

    def offer(where: str, counts: Mapping[str, int], **choices: Any) -> Alternative:
        title = f"Take {plural(len(counts), 'label')} from {where}? {_in_words(counts)}"
        return Alternative(title, replace(read.choices, **choices))

    by_folder = Counter(read.by_folder.values())
    is_poor = read.labels_from == FOLDERS and (few_labelled or len(by_folder) < 2)
    if (is_poor or not read.labels_from) and (counts := group_by_name(read.images.values())):
        yield offer("the file names", counts, labels=NAMES)
    for table in read.tables:
        counts, name = Counter(table.labels.values()), table.name
        if table is not read.table and counts and counts != by_folder:
            yield offer(f"`{name}`", counts, labels=TABLE, table=name)
    if read.labels_from != FOLDERS and len(by_folder) > 1:
        yield offer("the folders", by_folder, labels=FOLDERS, table="")
    yield from _offer_siblings(read.choices, read.root.siblings())
    for level, counts in read.root.count_levels().items():
        are_classes = len(counts) > 1 and not all(map(is_split_name, counts))
        if are_classes and 2 * counts.total() > len(read.images) and counts != by_folder:
            yield offer(f"folder level {level}", counts, labels=FOLDERS, level=level)


def _offer_siblings(choices: LayoutChoices, siblings: list[Folder]) -> Iterator[Alternative]:
    """Offer folders beside each other that hold the same classes as splits, or one alone."""
    if not 1 < len(siblings) <= len(SPLITS):
        return
    ordered = sorted(siblings, key=lambda one: -one.total)
    pairs = list(zip(ordered, SPLITS, strict=False))
    named = ", ".join(f"`{one.name}` {SPLIT_NAMES[split]}" for one, split in pairs)
    made = tuple((one.path, split) for one, split in pairs)
    yield Alternative(f"Take the folders as splits? {named}",
                      replace(choices, folders=(*choices.folders, *made)))  # fmt: skip
    for one in siblings:
        out = tuple((other.path, folders.OUT) for other in siblings if other is not one)
        title = f"Take only the {plural(one.total, 'image')} of `{one.name}`?"
        yield Alternative(title, replace(choices, folders=(*choices.folders, *out)))


def _in_words(counts: Mapping[str, int]) -> str:
    """Return "cat 20, dog 20", the first few of many."""
    return _join([f"{name} {counts[name]:,}" for name in sorted(counts, key=natural_key)])


def _sentences(layout: Layout, show: Callable[[str], str]) -> Iterator[str]:
    classes = [f"{show(label)} {' + '.join(f'{n:,}' for n in by_split.values())}"
            for label, by_split in layout.counts.items()]  # fmt: skip
    yield (
        f"{plural(len(classes), 'class', 'classes')}: {_join(classes)}."
        if classes
        else "No classes."
    )
    table = layout.table
    if layout.labels_from == NAMES:
        yield "The labels are from the file names."
    elif table and (layout.filled or layout.labels_from == TABLE):
        of = f" of {plural(layout.filled, 'image')}" if layout.filled else ""
        column, *more = table.label_columns or ("",)
        said_in = f"{len(more) + 1:,} columns of 0 and 1" if more else f"column `{column}`"
        yield f"The labels{of} are from `{table.name}`, {said_in}."
    named = {folder.path.rpartition("/")[2]: folder.meaning for folder in layout.folders}
    splits = [f"`{name}` is {SPLIT_NAMES[m]}" for name, m in named.items() if m in SPLITS]
    if table and (table.split_column or (table.splits and not splits)):
        splits.append(f"`{table.split_column or table.name}` says the splits")
    if splits:
        yield f"{_join(splits)}."
    if layout.unlabelled:
        verb = "has" if layout.unlabelled == 1 else "have"
        yield f"{plural(layout.unlabelled, 'image')} {verb} no label."
    if table and table.rows_without_image:
        number = plural(len(table.rows_without_image), "row")
        yield f"{number} of `{table.name}` without image: {_join([*table.rows_without_image])}."
    for label in filter(is_split_name, layout.classes):
        yield f"{show(label)} is a class here, though it has the name of a split."


def _join(names: list[str]) -> str:
    more = len(names) - _SHOWN
    return ", ".join(names[:_SHOWN]) + (f" and {more:,} more" if more > 0 else "")


def _left_out(reason: str, files: list[str]) -> LeftOut:
    kinds = Counter(_kind(normal_name(file), reason) for file in files)
    examples = tuple(kind for kind, _ in kinds.most_common(_SHOWN))
    return LeftOut(reason, len(files), sum(map(has_image_ending, files)), examples)


def _kind(file: str, reason: str) -> str:
    """Return what represents a file that is left out: a hidden folder, "*.csv", "README"."""
    parts = file.split("/")
    if reason == SYSTEM:
        hidden = next((part for part in parts if is_system_file(part)), file)
        return "._*" if hidden.startswith("._") else hidden
    if reason == UNUSED_FOLDER:
        return "/".join(parts[:-1])
    stem, dot, ending = parts[-1].rpartition(".")
    return f"*.{ending.lower()}" if stem and dot else parts[-1]
