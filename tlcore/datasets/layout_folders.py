"""What each folder of a listing means, by structure first and by words second.

Outer and doubled folders are seen through. A folder with a split's word in its name is a split
only if it holds class folders or stands beside classes as a heap of images; `test_tube` beside
other class folders is a class. Folders beside each other that hold mostly the same folders
(`2019/`, `2020/`) are no classes: those in them are. Images beside class folders or splits, in
`single_prediction`, `pred` or `test1`, have no label; `masks` beside `images` is left out.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from tlcore.datasets import folder_names as names
from tlcore.datasets.dataset import SPLITS, UNLABELLED
from tlcore.text import natural_key

OUTER, CLASS, INSIDE, NO_LABEL, OUT = "outer", "class", "inside", "unlabelled", "out"
# What a person may take a folder for: a split, or a folder around classes in no split, …
MEANINGS = (*SPLITS, OUTER, CLASS, NO_LABEL, OUT)
_DEEPEST = 9  # level of a folder that is told of or offered


@dataclass(frozen=True)
class FolderMeaning:
    """What one folder that is no class, and in no class, was taken for."""

    path: str  # "dataset/training_set"
    level: int  # 1 for the outermost
    meaning: str  # one of MEANINGS
    images: int  # at any depth


@dataclass(eq=False, slots=True)
class Folder:
    """A folder of a listing, and what it means."""

    name: str = ""
    around: Folder | None = None
    level: int = 0  # 1 for the outermost
    images: list[int] = field(default_factory=list)  # directly in it: positions in the listing
    total: int = 0  # images at any depth
    folders: dict[str, Folder] = field(default_factory=dict)
    inner: list[Folder] = field(default_factory=list)  # with images, and not left out at first
    meaning: str = INSIDE  # OUTER, CLASS, INSIDE (of what is around it), NO_LABEL or OUT
    split: str | None = None  # of the images in it, None: as around it
    label: str = ""  # of a class, where that is not its name
    is_sibling: bool = False  # holds the same folders as another one beside it

    def upwards(self) -> Iterator[Folder]:
        """Yield this folder and all around it."""
        folder: Folder | None = self
        while folder is not None:
            yield folder
            folder = folder.around

    @property
    def is_out(self) -> bool:
        return any(folder.meaning == OUT for folder in self.upwards())

    @property
    def path(self) -> str:
        return "/".join(reversed([folder.name for folder in self.upwards() if folder.around]))

    def class_level(self) -> int:
        """Return the level of the classes, 0 if there are none or they are on several levels."""
        levels = {folder.level for folder in self.walk() if folder.meaning == CLASS}
        return levels.pop() if len(levels) == 1 else 0

    def count_levels(self) -> Mapping[int, Counter[str]]:
        """Return the images below the folders of each level that has no split: level → name → n."""
        levels: dict[int, Counter[str]] = defaultdict(Counter)
        splits = set()
        for folder in self.walk():
            if folder.split:
                splits.add(folder.level)
            elif folder.total and 0 < folder.level <= _DEEPEST and not folder.is_out:
                levels[folder.level][folder.name] += folder.total
        return {level: levels[level] for level in sorted(levels) if level not in splits}

    def siblings(self) -> list[Folder]:
        """Return folders beside each other that hold the same classes and are no splits."""
        some = [one for one in self.walk() if one.is_sibling and one.meaning == OUTER]
        beside = [one for one in some if one.around is some[0].around and not one.split]
        return sorted(beside, key=lambda one: natural_key(one.name))

    def meanings(self) -> tuple[FolderMeaning, ...]:
        """Return what the folders mean that are neither classes nor in one, outermost first."""
        some = [
            FolderMeaning(one.path, one.level, one.split or one.meaning, one.total)
            for one in self.walk()
            if one.around
            and one.level <= _DEEPEST
            and one.total
            and (one.split or one.meaning not in (CLASS, INSIDE))
            and not (one.split and one.split == one.around.split)
        ]
        return tuple(sorted(some, key=lambda one: (one.level, one.path)))

    def walk(self) -> Iterator[Folder]:
        """Yield this folder and all within; without recursion, names have thousands of folders."""
        folders = [self]
        while folders:
            folder = folders.pop()
            yield folder
            folders += folder.folders.values()


class FolderPlace(NamedTuple):
    """What the folders say of one image."""

    label: str | None  # its class; UNLABELLED where it surely has none, None where none is named
    split: str | None
    is_out: bool = False


def read_folders(
    files: Mapping[int, str], level: int, chosen: Iterable[tuple[str, str]]
) -> tuple[Folder, dict[int, FolderPlace]]:
    """Return the root of all folders of images, marked, and each image's place by its position.

    Args:
        files: position in the listing → name with "/" between folders.
        level: of the folders that are classes, 1 for the outermost; 0 leaves it to the rules.
        chosen: (path or name of a folder, one of MEANINGS), which come before all rules.
    """
    root = _build(files)
    if level:
        _mark_level(root, level)
    else:
        _mark(_enter(root))
    for name, meaning in chosen:
        for folder in _find(root, name):
            _mark_as_chosen(folder, meaning)
    return root, _places(root)


def _build(files: Mapping[int, str]) -> Folder:
    root = Folder(meaning=OUTER)
    by_path = {"": root}
    for position, file in files.items():
        path = file.rpartition("/")[0]
        if path not in by_path:
            by_path[path] = _make(root, path)
        by_path[path].images.append(position)
    for folder in reversed(list(root.walk())):
        _find_inner(folder)
        folder.total = len(folder.images) + sum(one.total for one in folder.inner)
    return root


def _make(folder: Folder, path: str) -> Folder:
    for part in path.split("/"):
        if part not in ("", ".", ".."):
            if part not in folder.folders:
                folder.folders[part] = Folder(part, folder, folder.level + 1)
            folder = folder.folders[part]
    return folder


def _find_inner(folder: Folder) -> None:
    """Leave out drawings over images (`masks`) where all beside them says nothing (`images`)."""
    folder.inner = inside = [one for one in folder.folders.values() if one.total]
    drawn = [one for one in inside if names.means_annotations(one.name)]
    rest = [one for one in inside if one not in drawn] if drawn else []
    if rest and all(names.says_nothing(one.name) or _is_split(one) for one in rest):
        folder.inner = rest
        for one in drawn:
            one.meaning = OUT


def _is_split(folder: Folder) -> bool:
    return names.is_split_name(folder.name)


def _mark_level(root: Folder, level: int) -> None:
    """Mark the folders of one level as classes, those above by their names."""
    for folder in root.walk():
        if folder.meaning == OUT or not folder.name:
            continue
        if folder.level <= level:
            folder.meaning = CLASS if folder.level == level else OUTER
        if names.means_unlabelled(folder.name):
            folder.meaning = NO_LABEL
        elif folder.level != level and _is_split(folder):
            folder.split = names.split_of(folder.name)


def _enter(root: Folder) -> Folder:
    """Return the folder in which classes or splits begin; those around it are outer folders."""
    folder, outer = root, list[Folder]()
    while len(folder.inner) == 1 and not _find_splits(folder):
        inside = folder.inner[0]
        has_classes = len(inside.inner) > 1 or any(len(one.inner) > 1 for one in inside.inner)
        if not (has_classes or (inside.inner and not inside.images)):
            break
        folder = inside
        outer.append(folder)
    if outer and len(folder.inner) == 1 and not _find_splits(folder):
        folder = outer[0]  # one folder within another to the end: the second is the class
    for around in folder.upwards():
        around.meaning = OUTER
    return folder


def _mark(base: Folder) -> None:
    """Mark the folders in a folder around splits or classes."""
    splits = _find_splits(base)
    is_outer = splits or any(_find_splits(_unwrap(one)) for one in base.inner)
    labels = {one.name for name in splits for one in _unwrap(base.folders[name]).inner}
    unlabelled = _find_unlabelled(base, bool(is_outer), labels)
    siblings = _find_siblings(base)
    for one in siblings:
        one.is_sibling = True
    plain = all(names.says_nothing(one.name) for one in base.inner)
    _mark_pairs(base)
    for folder in base.inner:
        inside = _unwrap(folder)
        if folder.name in splits:
            _mark_around_classes(folder, splits[folder.name])
        elif folder.meaning != INSIDE:
            continue  # one of a pair
        elif folder.name in unlabelled:
            _mark_heap(folder, inside)
        elif _find_splits(inside):
            _mark_outer(folder, inside)
            _mark(inside)
        elif (splits and inside.inner) or folder.is_sibling:
            _mark_around_classes(folder, _split_beside(folder, siblings))
        elif plain and not inside.inner:
            _mark_outer(folder, inside)
        else:
            folder.meaning = CLASS
            for one in filter(_is_split, folder.inner):
                one.split = names.split_of(one.name)  # within the class: `ants/train/`


def _split_beside(folder: Folder, siblings: Iterable[Folder]) -> str | None:
    """Return the split that a name means beside others: "rps-test-set" beside "rps"."""
    split, words = names.split_of(folder.name), names.further_words(folder.name)
    beside = (one for one in siblings if split and one is not folder)
    return split if any(words <= names.further_words(one.name) for one in beside) else None


def _mark_pairs(base: Folder) -> None:
    """Mark heaps of images that differ by the split alone: `cars_train` and `cars_test` have no
    label; with `cats_train`, `cats_test`, `dogs_train` … the rest of the name is the class.
    """
    pairs: dict[str, list[Folder]] = defaultdict(list)
    for one in base.inner:
        if names.split_of(one.name) and not _unwrap(one).inner:
            pairs[names.without_split(one.name).casefold()].append(one)
    kept = [some for rest, some in pairs.items()
            if rest and len({names.split_of(one.name) for one in some}) > 1]  # fmt: skip
    for one in (one for some in kept for one in some):
        _mark_heap(one, _unwrap(one))
        if len(kept) > 1:
            one.meaning, one.label = CLASS, names.without_split(one.name)


def _mark_heap(folder: Folder, inside: Folder) -> None:
    """Mark a folder of images without label."""
    folder.meaning = NO_LABEL
    folder.split = inside.split = names.split_of(folder.name)


def _find_splits(base: Folder) -> dict[str, str]:
    """Return the folders in a folder that are splits with class folders: name → split.

    A name that means nothing but a split is one. Others need company: another split whose name is
    the same otherwise ("my_train", "my_test"), or a class of the same name in another split where
    nothing but such folders is there.
    """
    named = {one.name: split for one in base.inner if (split := names.split_of(one.name))}
    labels = {name: _unwrap(base.folders[name]).inner for name in named}
    holding = {name: split for name, split in named.items() if labels[name]}
    if not any(map(names.is_split_name, holding)):
        by_rest, by_label = defaultdict(set), defaultdict(set)
        for name, split in named.items():
            by_rest[names.further_words(name)].add(split)
            for label in labels[name]:
                by_label[label.name].add(split)
        alike = any(len(by_rest[names.further_words(name)]) > 1 for name in holding)
        alone = all(one.name in named or names.means_unlabelled(one.name) for one in base.inner)
        if not alike and not (alone and any(len(splits) > 1 for splits in by_label.values())):
            return {}
    return holding


def _find_unlabelled(base: Folder, has_splits: bool, labels: set[str]) -> set[str]:
    """Name the folders of images that stand beside classes or splits and are no class."""
    plain = [folder.name for folder in base.inner if not _unwrap(folder).inner]
    marked = {name for name in plain if names.is_split_name(name) or names.means_unlabelled(name)}
    if has_splits:
        return marked if labels & set(plain) else set(plain)
    if len(base.inner) > 1 and [names.split_of(name) for name in marked] == ["train"]:
        return set()  # loose images to train on beside classes make no sense: train, car, bus
    return marked


def _find_siblings(base: Folder) -> list[Folder]:
    """Return the folders in a folder that mostly hold folders of the same names.

    At least two names are shared, also with folders beside them (classes, and the same classes
    again in a folder). Merely numbered ones (`rec0`) in folders that are not lie within classes.
    """
    inside = {one.name: {label.name for label in _unwrap(one).inner} for one in base.inner}
    holders = [one for one in base.inner if inside[one.name]]
    counts = Counter(name for labels in inside.values() for name in labels)
    counts.update(counts.keys() & inside.keys())
    shared = {name for name, number in counts.items() if number > 1}
    within = _are_numbered(counts) and not _are_numbered(one.name for one in holders)
    if within or len(shared) < 2 or 2 * len(shared) < len(counts):
        return []
    if all(names.is_split_name(name) or names.says_nothing(name) for name in counts):
        return []  # `ants/train`, `bees/train`: splits within classes
    return [one for one in holders if inside[one.name] & shared]


def _are_numbered(some: Iterable[str]) -> bool:
    return len({re.sub(r"\d+", "#", name) for name in some}) == 1


def _unwrap(folder: Folder) -> Folder:
    """Return the folder inside a doubled one or one of a plain name (`train/images/…`)."""
    while not folder.images and len(folder.inner) == 1:
        inside = folder.inner[0]
        same = inside.name.casefold() == folder.name.casefold()
        is_split = _is_split(inside) and names.split_of(folder.name)
        if not (same or names.says_nothing(inside.name) or is_split):
            break
        folder = inside
    return folder


def _mark_outer(folder: Folder, inside: Folder) -> None:
    """Mark a folder and those it is seen through as outer ones."""
    for around in inside.upwards():
        around.meaning = OUTER
        if around is folder:
            break


def _mark_around_classes(folder: Folder, split: str | None) -> None:
    """Mark a folder around class folders, which is a split or just an outer folder."""
    inside = _unwrap(folder)
    _mark_outer(folder, inside)
    folder.split = inside.split = split
    for one in inside.inner:
        no_class = names.means_unlabelled(one.name) and len(inside.inner) > 1
        one.meaning = NO_LABEL if no_class else CLASS


def _find(root: Folder, name: str) -> list[Folder]:
    """Return the folder of a path, or all folders of a name."""
    some = [one for one in root.walk() if one.around and one.level <= _DEEPEST]
    alike = [one for one in some if one.name == name.rpartition("/")[2]]
    return [one for one in alike if one.path == name] or (alike if "/" not in name else [])


def _mark_as_chosen(folder: Folder, meaning: str) -> None:
    """Give a folder the meaning that a person chose."""
    if meaning in (CLASS, NO_LABEL, OUT):
        for around in folder.upwards():
            if meaning == CLASS == around.meaning:
                around.meaning = OUTER
        folder.meaning, folder.split = meaning, None if meaning == CLASS else folder.split
        return
    split = meaning if meaning in SPLITS else None
    if folder.meaning == OUTER:
        folder.split = split
    else:
        _mark_around_classes(folder, split)


def _places(root: Folder) -> dict[int, FolderPlace]:
    """Return each image's place; of folders within each other the outermost class counts."""
    places: dict[int, FolderPlace] = {}
    has_classes = any(folder.meaning == CLASS for folder in root.walk())
    folders: list[tuple[Folder, FolderPlace]] = [(root, FolderPlace(None, None))]
    while folders:
        folder, place = folders.pop()
        label, is_out = place.label, place.is_out or folder.meaning == OUT
        split = folder.split or place.split
        if folder.meaning == CLASS and label is None:
            label = folder.label or folder.name
        elif has_classes and folder.meaning == NO_LABEL:
            label = UNLABELLED
        place = FolderPlace(label, split, is_out)
        folders += [(inside, place) for inside in folder.folders.values()]
        if has_classes and label is None and split:
            place = FolderPlace(UNLABELLED, split, is_out)  # beside the classes of a split
        for at in folder.images:
            places[at] = place
    return places
