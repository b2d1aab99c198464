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

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

from tlcore.datasets import layout_folders as folders
from tlcore.datasets.dataset import SPLIT_NAMES, SPLITS, UNLABELLED
from tlcore.datasets.folder_names import is_split_name, is_system_file, may_be_image
from tlcore.datasets.image_io import has_image_ending
from tlcore.datasets.layout_folders import Folder, FolderMeaning, FolderPlace
from tlcore.datasets.layout_tables import Table, TableReading, read_tables
from tlcore.text import natural_key, plural

EXPECTED_LAYOUT = (
    "a folder for each class with its images inside (ants/1.jpg, bees/2.jpg), "
    "or train/ and val/ with such folders in them"
)
FOLDERS, NAMES, TABLE = "folders", "names", "table"
LABEL_SOURCES = (FOLDERS, NAMES, TABLE)
SYSTEM, NO_IMAGE = "hidden or of the system", "other than images"
UNUSED_FOLDER = "in folders that are not used"
_SHOWN = 6  # names in a sentence
_LAST_NUMBER = re.compile(r"[0-9]+(?=[^0-9]*$)")
_DEEPEST = 8  # folder level that is offered as classes


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
    # The person's choices, filled up with what the rules decided: where labels come from ("" where
    # there are none), the level of the classes (0 where they are on several), table and columns.
    choices: LayoutChoices
    folders: tuple[FolderMeaning, ...]  # that are neither classes nor in one, outermost first
    tables: tuple[TableReading, ...]  # that name images, likeliest first
    alternatives: tuple[Alternative, ...]  # likeliest first

    @cached_property
    def counts(self) -> Mapping[str, Mapping[str | None, int]]:
        """Images of each class by split, classes as people count ("2" before "10").

        Every class has all splits that occur among labelled images, in the order of SPLITS; None
        last, for images without split.
        """
        found = Counter((p.label, p.split) for p in self.placements if not p.left_out)
        labels = sorted({label for label, _ in found} - {UNLABELLED}, key=natural_key)
        occurring = {split for label, split in found if label != UNLABELLED}
        splits = [split for split in (*SPLITS, None) if split in occurring]
        return {label: {split: found[label, split] for split in splits} for label in labels}

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

    @property
    def table(self) -> TableReading | None:
        """The table in use, or None."""
        return next((t for t in self.tables if t.name == self.choices.table), None)

    @cached_property
    def left_out(self) -> tuple[LeftOut, ...]:
        """Files that are left out, by reason."""
        files: dict[str, list[str]] = {}
        for file, place in zip(self.files, self.placements, strict=True):
            files.setdefault(place.left_out, []).append(file.name)
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
        return f"{number:,} {_are(number, 'file')} left out: {'; '.join(reasons)}."


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
    used = {at: name for at, name in images.items() if not places[at].is_out}
    tables = read_tables(
        {normal_name(file.name): file.content for file in listed if file.content is not None},
        used,
        {at: places[at].split for at in used},
        (choices.table, choices.file_column, choices.label_column, choices.split_column),
    )
    labels, table = _choose_source(choices, places, tables)
    made = {at: _place(places[at], at, name, labels, table, choices.loose_label)
            for at, name in used.items()}  # fmt: skip
    placements = tuple(
        made.get(at) or Placement(left_out=reasons[at] or UNUSED_FOLDER) for at in range(len(names))
    )
    alternatives = _alternatives(choices, labels, root, places, used, tables)
    return Layout(
        listed,
        placements,
        _fill_up(choices, labels, table, root),
        root.meanings(),
        tuple(one.reading for one in tables),
        tuple(alternatives),
    )


def normal_name(file: str) -> str:
    """Return a file's name with "/" between folders, composed (NFC): macOS decomposes names."""
    name = file.replace("\\", "/")
    return name if name.isascii() else unicodedata.normalize("NFC", name)


def label_from_name(file: str) -> str:
    """Return what a file's name says before its last number, "" if nothing: "cat.0.jpg" → "cat"."""
    name = file.rpartition("/")[2]
    stem = name.rpartition(".")[0] if has_image_ending(name) else name
    number = _LAST_NUMBER.search(stem)
    return stem[: number.start()].strip(" ._-+(#") if number else ""


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


def _choose_source(
    choices: LayoutChoices, places: Mapping[int, FolderPlace], tables: list[Table]
) -> tuple[str, Table | None]:
    """Return where the labels come from, "" for nowhere, and the table in use."""
    best = tables[0] if tables else None
    classes = {place.label for place in places.values()} - {None, UNLABELLED}
    labels = choices.labels
    if not labels and best and best.labels and (choices.table or best.is_sure or len(classes) < 2):
        labels = TABLE
    labels = labels or (FOLDERS if classes else "")
    splits_only = bool(best and not best.labels and not choices.labels)
    return labels, best if labels == TABLE or splits_only or choices.table else None


def _place(
    place: FolderPlace, at: int, file: str, labels: str, table: Table | None, loose_label: str
) -> Placement:
    """Return where an image goes that is not left out."""
    label = place.label or loose_label
    if labels == TABLE:
        label = (table and table.labels.get(at)) or UNLABELLED
    elif labels == NAMES:
        label = label_from_name(file) or UNLABELLED
    split = (table and table.splits.get(at)) or place.split
    return Placement(label, split)


def _fill_up(
    choices: LayoutChoices, labels: str, table: Table | None, root: Folder
) -> LayoutChoices:
    """Fill what the rules decided into a person's choices."""
    choices = replace(choices, labels=labels, level=choices.level or root.class_level())
    if table is None:
        return choices
    read = table.reading
    return replace(
        choices,
        table=read.name,
        file_column=read.file_column,
        label_column=read.label_columns[0] if len(read.label_columns) == 1 else "",
        split_column=read.split_column,
    )


def _alternatives(
    choices: LayoutChoices,
    labels: str,
    root: Folder,
    places: Mapping[int, FolderPlace],
    used: Mapping[int, str],
    tables: list[Table],
) -> Iterator[Alternative]:
    """Yield the readings that are possible instead of the one that takes ``labels``."""

    def offer(source: str, where: str, counts: Mapping[str, int], **more: object) -> Alternative:
        title = f"Take {plural(len(counts), 'label')} from {where}? {_in_words(counts)}"
        return Alternative(title, replace(choices, labels=source, **more))  # type: ignore[arg-type]

    by_folder = Counter(place.label for at, place in places.items() if at in used and place.label)
    del by_folder[UNLABELLED]
    few = labels != NAMES and (len(by_folder) < 2 or 2 * by_folder.total() < len(used))
    if few and (counts := _name_groups(used.values())):
        yield offer(NAMES, "the file names", counts)
    for table in tables:
        if table.labels and not (labels == TABLE and table is tables[0]):
            read = table.reading
            yield offer(TABLE, f"`{read.name}`", Counter(table.labels.values()), table=read.name)
    if labels != FOLDERS and len(by_folder) > 1:
        yield offer(FOLDERS, "the folders", by_folder)
    yield from _offer_siblings(choices, root.siblings())
    for level in range(1, _DEEPEST + 1):
        counts = root.count_level(level)
        usual = labels == FOLDERS and level == (choices.level or root.class_level())
        if not usual and len(counts) > 1 and not all(map(is_split_name, counts)):
            yield offer(FOLDERS, f"folder level {level}", counts, level=level)


def _offer_siblings(choices: LayoutChoices, siblings: list[Folder]) -> Iterator[Alternative]:
    """Offer folders beside each other that hold the same classes as splits, or one alone."""
    if 1 < len(siblings) <= len(SPLITS):
        ordered = sorted(siblings, key=lambda one: -one.total)
        pairs = list(zip(ordered, SPLITS, strict=False))
        said = ", ".join(f"`{one.name}` {SPLIT_NAMES[split]}" for one, split in pairs)
        made = tuple((one.path, split) for one, split in pairs)
        yield Alternative(f"Take the folders for splits? {said}",
                          replace(choices, folders=(*choices.folders, *made)))  # fmt: skip
    if 1 < len(siblings) <= len(SPLITS) + 1:
        for one in siblings:
            out = tuple((other.path, folders.OUT) for other in siblings if other is not one)
            title = f"Take only the {plural(one.total, 'image')} of `{one.name}`?"
            yield Alternative(title, replace(choices, folders=(*choices.folders, *out)))


def _name_groups(files: Iterable[str]) -> Mapping[str, int]:
    """Return label → images where the names make at least two groups that hold most images."""
    counts = Counter(map(label_from_name, files))
    groups = {label: n for label, n in counts.items() if n > 1 and re.search(r"[^\W\d_]", label)}
    is_most = 2 * sum(groups.values()) > counts.total() - counts[""]
    return groups if len(groups) > 1 and is_most else {}


def _in_words(counts: Mapping[str, int], show: Callable[[str], str] = str) -> str:
    """Return "cat 20, dog 20", the first few of many."""
    ordered = sorted(counts, key=natural_key)
    said = ", ".join(f"{show(name)} {counts[name]:,}" for name in ordered[:_SHOWN])
    more = len(ordered) - _SHOWN
    return f"{said} and {more:,} more" if more > 0 else said


def _sentences(layout: Layout, show: Callable[[str], str]) -> Iterator[str]:
    counts, table = layout.counts, layout.table
    said = [f"{show(label)} {' + '.join(f'{n:,}' for n in by_split.values())}"
            for label, by_split in counts.items()]  # fmt: skip
    more = f" and {len(said) - _SHOWN:,} more" if len(said) > _SHOWN else ""
    yield (
        f"{plural(len(said), 'class', 'classes')}: {', '.join(said[:_SHOWN])}{more}."
        if said
        else ("No classes.")
    )
    if layout.choices.labels == NAMES:
        yield "The labels are from the file names."
    elif table and layout.choices.labels == TABLE:
        yield f"The labels are from `{table.name}`, {_columns(table)}."
    named: dict[str, str] = {}
    for folder in layout.folders:
        if folder.meaning in SPLITS:
            named.setdefault(folder.path.rpartition("/")[2], folder.meaning)
    splits = [f"`{name}` is {SPLIT_NAMES[split]}" for name, split in named.items()]
    if table and table.split_column:
        splits.append(f"`{table.split_column}` in `{table.name}` names the splits")
    if splits:
        yield f"{', '.join(splits[:_SHOWN])}."
    if layout.unlabelled:
        verb = "has" if layout.unlabelled == 1 else "have"
        yield f"{plural(layout.unlabelled, 'image')} {verb} no label."
    if table and table.rows_without_image:
        yield f"{plural(len(table.rows_without_image), 'row')} of `{table.name}` without image."
    for label in filter(is_split_name, counts):
        yield f"{show(label)} is a class here, though it has the name of a split."


def _columns(table: TableReading) -> str:
    if len(table.label_columns) == 1:
        return f"column `{table.label_columns[0]}`"
    return f"{len(table.label_columns):,} columns of 0 and 1"


def _left_out(reason: str, files: list[str]) -> LeftOut:
    kinds = Counter(_kind(normal_name(file), reason) for file in files)
    examples = tuple(kind for kind, _ in kinds.most_common(_SHOWN))
    return LeftOut(reason, len(files), sum(map(has_image_ending, files)), examples)


def _kind(file: str, reason: str) -> str:
    """Return what represents a file that is left out: a hidden folder, "*.csv", "README"."""
    parts = file.split("/")
    if reason == SYSTEM:
        return next((part for part in parts if is_system_file(part)), file)
    if reason == UNUSED_FOLDER:
        return "/".join(parts[:-1])
    stem, dot, ending = parts[-1].rpartition(".")
    return f"*.{ending.lower()}" if stem and dot else parts[-1]


def _are(number: int, noun: str) -> str:
    return f"{noun} is" if number == 1 else f"{noun}s are"
