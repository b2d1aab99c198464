"""Layout of a dataset on its way in: class and split of every file, by file names alone.

What people have is read by structure first and by words second. A folder with a split's word in
its name is a split only if it holds class folders; `test_tube` beside other class folders is a
class. Outer folders and doubled ones (`seg_train/seg_train`) are skipped. Images beside class
folders or splits, in `single_prediction`, `pred` or `test1`, have no label.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from tlcore.datasets.dataset import UNLABELLED
from tlcore.datasets.image_io import has_image_ending

EXPECTED_LAYOUT = (
    "a folder for each class with its images inside (ants/1.jpg, bees/2.jpg), "
    "or train/ and val/ with such folders in them"
)

_SPLIT_WORDS: Mapping[str, str] = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "dev": "val",
    "test": "test",
    "testing": "test",
}
# Words that say nothing: "training_set" is "training", "training_shoes" is more than that.
_PLAIN = (
    "all data dataset file files folder image images img imgs jpg jpeg photo photos pic pics "
    "image images png sample samples seg set sets split"
)
_PLAIN_WORDS = frozenset(_PLAIN.split())
_UNLABELLED_WORDS = frozenset(
    {"pred", "preds", "predict", "prediction", "predictions", "unlabelled", "unlabeled"}
)
_WORD = re.compile(r"[^\W\d_]+")
_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])")
_LITTER = frozenset({"__macosx", "thumbs.db", "desktop.ini"})


@dataclass(frozen=True)
class ClassAndSplit:
    """Class and split of a file by its folders."""

    label: str | None  # its class; UNLABELLED where it surely has none, None where none is named
    split: str | None  # "train", "val", "test", or None: none is named


@dataclass(eq=False)
class _Folder:
    """A folder of the listing."""

    name: str = ""
    files: list[str] = field(default_factory=list)  # directly in it, as they were listed
    images: int = 0  # of these files
    has_images: bool = False  # at any depth
    folders: dict[str, _Folder] = field(default_factory=dict)

    @cached_property
    def inner(self) -> list[_Folder]:
        """The folders in it that hold an image at some depth; not before all files are in."""
        return [folder for folder in self.folders.values() if folder.has_images]


def read_layout(files: Iterable[str]) -> dict[str, ClassAndSplit]:
    """Read the class and the split of every file from all names together.

    Only files with an image's ending shape the layout; where none has one, all do.

    Args:
        files: names with folders, "set/train/ants/1.jpg"; "/" or "\\\\" between them.

    Returns:
        The place of each file, by its name as it was listed.
    """
    names = list(dict.fromkeys(files))
    shaping = {name for name in names if has_image_ending(name) and _is_inside(name)} or names
    root = _Folder()
    for name in names:
        folder, shapes = root, name in shaping
        for part in _parts(name)[:-1]:
            if part not in folder.folders:
                folder.folders[part] = _Folder(part)
            folder = folder.folders[part]
            folder.has_images |= shapes
        folder.files.append(name)
        folder.images += shapes
    places = dict.fromkeys(names, ClassAndSplit(None, None))
    places.update(_read(_without_outer(root)))
    return places


def is_system_file(file: str) -> bool:
    """True for what systems leave behind: hidden files and folders, __MACOSX, Thumbs.db."""
    return any(part.startswith(".") or part.lower() in _LITTER for part in _parts(file))


def is_split_name(name: str) -> bool:
    """Whether a name means a split and nothing else: "Train", "test_set", "images_val"."""
    return split_of(name) is not None and not _further_words(name)


def split_of(name: str) -> str | None:
    """Return the one split that is among a name's words, None where there is none or several."""
    splits = {_SPLIT_WORDS[word] for word in _words(name) if word in _SPLIT_WORDS}
    return splits.pop() if len(splits) == 1 else None


def _further_words(name: str) -> set[str]:
    return set(_words(name)) - _PLAIN_WORDS - set(_SPLIT_WORDS)


def _words(name: str) -> list[str]:
    """Split a name at all that is no letter and where a capital follows a small letter."""
    parts = (part for run in _WORD.findall(name) for part in _CAMEL.split(run))
    return [part.lower() for part in parts]


def _without_outer(root: _Folder) -> _Folder:
    """Return the folder in which classes or splits begin, below the folders around it."""
    folder = root
    outer: list[_Folder] = []
    while len(folder.inner) == 1 and not _splits(folder):
        inside = folder.inner[0]
        if len(inside.inner) < (2 if inside.images else 1):
            break
        folder = inside
        outer.append(folder)
    if outer and len(folder.inner) == 1 and not _splits(folder):
        return outer[0]  # one folder within another to the end: the second is the class
    return folder


def _read(base: _Folder) -> Iterator[tuple[str, ClassAndSplit]]:
    """Give the files below a folder whose folders are splits or classes their places."""
    splits = _splits(base)
    labels = {one.name for name in splits for one in _unwrap(base.folders[name]).inner}
    unlabelled = _unlabelled(base, splits, labels)
    none_labelled = len(unlabelled) == len(base.inner)
    for folder in base.folders.values():
        inside = _unwrap(folder)
        if folder.name in splits:
            yield from _read_classes(inside, splits[folder.name])
        elif folder.name in unlabelled:
            label = None if none_labelled else UNLABELLED
            yield from _all(folder, ClassAndSplit(label, split_of(folder.name)))
        elif splits and inside.inner:
            yield from _read_classes(inside, None)
        elif any(one.inner for one in inside.inner) and _splits(inside):
            yield from _read(inside)
        else:
            yield from _read_class(folder)


def _splits(base: _Folder) -> dict[str, str]:
    """Return the folders in a folder that are splits with class folders: name → split.

    A name that means nothing but a split is one. Others need company: another split whose name is
    the same otherwise ("my_train", "my_test"), or a class of the same name in another split where
    nothing but such folders is there.
    """
    named = {one.name: split for one in base.inner if (split := split_of(one.name))}
    labels = {name: _unwrap(base.folders[name]).inner for name in named}
    holding = {name: split for name, split in named.items() if labels[name]}
    if not any(map(is_split_name, holding)):
        by_rest, by_label = defaultdict(set), defaultdict(set)
        for name, split in named.items():
            by_rest[tuple(sorted(_further_words(name)))].add(split)
            for label in labels[name]:
                by_label[label.name].add(split)
        alike = any(len(by_rest[tuple(sorted(_further_words(name)))]) > 1 for name in holding)
        alone = all(one.name in named or _means_unlabelled(one.name) for one in base.inner)
        if not alike and not (alone and any(len(splits) > 1 for splits in by_label.values())):
            return {}
    return holding


def _unlabelled(base: _Folder, splits: Mapping[str, str], labels: set[str]) -> set[str]:
    """Name the folders of images that stand beside classes or splits and are no class."""
    plain = [folder.name for folder in base.inner if not _unwrap(folder).inner]
    marked = {name for name in plain if is_split_name(name) or _means_unlabelled(name)}
    if splits:
        return marked if labels & set(plain) else set(plain)
    if len(base.inner) > 1 and [split_of(name) for name in marked] == ["train"]:
        return set()  # loose images to train on beside classes make no sense: train, car, bus
    return marked


def _means_unlabelled(name: str) -> bool:
    rest = [word for word in _words(name) if word not in _PLAIN_WORDS and word != "single"]
    return bool(rest) and all(word in _UNLABELLED_WORDS for word in rest)


def _unwrap(folder: _Folder) -> _Folder:
    """Return the folder inside a doubled one or one of a plain name (`train/images/…`)."""
    while not folder.images and len(folder.inner) == 1:
        inside = folder.inner[0]
        same = inside.name.casefold() == folder.name.casefold()
        plain = not set(_words(inside.name)) - _PLAIN_WORDS
        if not (same or plain or (is_split_name(inside.name) and split_of(folder.name))):
            break
        folder = inside
    return folder


def _read_classes(folder: _Folder, split: str | None) -> Iterator[tuple[str, ClassAndSplit]]:
    """Give the files of a split their places: its folders are classes."""
    for file in folder.files:
        yield file, ClassAndSplit(UNLABELLED, split)
    for inside in folder.folders.values():
        no_class = _means_unlabelled(inside.name) and len(folder.inner) > 1
        yield from _all(inside, ClassAndSplit(UNLABELLED if no_class else inside.name, split))


def _read_class(folder: _Folder) -> Iterator[tuple[str, ClassAndSplit]]:
    """Give the files of a class their places; it may have its splits inside (`ants/train/`)."""
    for file in folder.files:
        yield file, ClassAndSplit(folder.name, None)
    for inside in folder.folders.values():
        split = split_of(inside.name) if is_split_name(inside.name) else None
        yield from _all(inside, ClassAndSplit(folder.name, split))


def _all(folder: _Folder, place: ClassAndSplit) -> Iterator[tuple[str, ClassAndSplit]]:
    folders = [folder]  # no recursion: a name may have thousands of folders
    while folders:
        current = folders.pop()
        for file in current.files:
            yield file, place
        folders += current.folders.values()


def _is_inside(file: str) -> bool:
    return ".." not in file.replace("\\", "/").split("/")


def _parts(file: str) -> list[str]:
    return [part for part in file.replace("\\", "/").split("/") if part not in ("", ".", "..")]
