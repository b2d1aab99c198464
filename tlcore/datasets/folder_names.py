"""What the name of a folder or a file says by itself: a split, no label, nothing, no image."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from functools import lru_cache

from tlcore.datasets.image_io import has_image_ending

_SPLIT_WORDS: Mapping[str, str] = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "validate", "dev"), "val"),
    **dict.fromkeys(("test", "testing", "holdout", "eval", "evaluation"), "test"),
}
# Words that say nothing: "training_set" is "training", "training_shoes" is more than that.
_PLAIN = """all archive batch csv data dataset datasets download file files folder image images img
    imgs jpeg jpegs jpg label labels part parts photo photos pic pics picture pictures png sample
    samples seg set sets split"""
_UNLABELLED = "inference pred preds predict prediction predictions unlabelled unlabeled unsorted"
_ANNOTATION = """annotation annotations groundtruth ground truth gt masks segmentations trimaps
    xmls bboxes contours"""
_PLAIN_WORDS = frozenset(_PLAIN.split())
_UNLABELLED_WORDS = frozenset(_UNLABELLED.split())
_ANNOTATION_WORDS = frozenset(_ANNOTATION.split())
_WORD = re.compile(r"[^\W\d_]+")
_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])")
_SPLIT = "|".join(_SPLIT_WORDS)
_JOINED = re.compile(f"({_SPLIT}|{'|'.join(_PLAIN_WORDS)})({'|'.join(_PLAIN_WORDS)})")  # "trainset"
_SPLIT_PART = re.compile(rf"(?<![^\W\d_])({_SPLIT})(?![^\W\d_])", re.IGNORECASE)
_LITTER = frozenset({"__macosx", "thumbs.db", "desktop.ini"})
# What may be an image, though none that is known by its ending: reading it gives the reason.
_MEDIA = """heic heif avif jp2 j2k jxl jfif dng cr2 nef arw raw tga ppm pgm mp4 mov webm
    avi mkv m4v zip tar gz tgz bz2 xz 7z rar parquet"""
_MEDIA_ENDINGS = frozenset(_MEDIA.split())
_LAST_NUMBER = re.compile(r"[0-9]+(?=[^0-9]*$)")
_ENDING = re.compile(r"[A-Za-z][A-Za-z0-9]{0,9}")
_TEXTS = frozenset({"readme", "license", "licence", "makefile", "dockerfile", "notice"})


def is_system_file(file: str) -> bool:
    """True for what systems leave behind: hidden files and folders, __MACOSX, Thumbs.db."""
    folder, _, name = file.replace("\\", "/").rpartition("/")
    return _is_litter(name) or (bool(folder) and _is_in_litter(folder))


def _is_litter(name: str) -> bool:
    return (name[:1] == "." and name not in (".", "..")) or name.lower() in _LITTER


@lru_cache(maxsize=4096)
def _is_in_litter(folder: str) -> bool:
    return any(map(_is_litter, folder.split("/")))


def may_be_image(file: str) -> bool:
    """Whether a file is worth decoding: by its ending, or because it has none."""
    if has_image_ending(file):
        return True
    name = file.replace("\\", "/").rpartition("/")[2]
    stem, dot, ending = name.rpartition(".")
    if not (stem and dot and _ENDING.fullmatch(ending)):
        return name.lower() not in _TEXTS
    return ending.lower() in _MEDIA_ENDINGS


def label_from_name(file: str) -> str:
    """Return what a file's name says before its last number, "" if nothing: "cat.0.jpg" → "cat"."""
    name = file.rpartition("/")[2]
    stem = name.rpartition(".")[0] if has_image_ending(name) else name
    number = _LAST_NUMBER.search(stem)
    return stem[: number.start()].strip(" ._-+(#") if number else ""


def group_by_name(files: Iterable[str]) -> Mapping[str, int]:
    """Return label → images where names make at least two groups that hold most images, or {}."""
    counts = Counter(map(label_from_name, files))
    groups = {label: n for label, n in counts.items() if n > 1 and re.search(r"[^\W\d_]", label)}
    is_most = 2 * sum(groups.values()) > counts.total() - counts[""]
    return groups if len(groups) > 1 and is_most else {}


def is_split_name(name: str) -> bool:
    """Whether a name means a split and nothing else: "Train", "test_set", "images_val"."""
    return split_of(name) is not None and not further_words(name)


def split_of(name: str) -> str | None:
    """Return the one split that is among a name's words, None where there is none or several."""
    splits = {_SPLIT_WORDS[word] for word in _words(name) if word in _SPLIT_WORDS}
    return splits.pop() if len(splits) == 1 else None


def further_words(name: str) -> frozenset[str]:
    """Return the words of a name that mean neither a split nor nothing."""
    return frozenset(_words(name)) - _PLAIN_WORDS - frozenset(_SPLIT_WORDS)


def without_split(name: str) -> str:
    """Return a name without the word of its split: "cats" for "cats_train"."""
    return _SPLIT_PART.sub("", name).strip(" ._-")


def says_nothing(name: str) -> bool:
    """Whether a name has words, and only such as "images", "data", "photos 2"."""
    return bool(_words(name)) and not set(_words(name)) - _PLAIN_WORDS


def means_unlabelled(name: str) -> bool:
    """Whether a name says that its images have no label: "single_prediction", "seg_pred"."""
    rest = {word for word in _words(name) if word not in _PLAIN_WORDS and word != "single"}
    return bool(rest) and rest <= _UNLABELLED_WORDS


def means_annotations(name: str) -> bool:
    """Whether a name says that its images are drawn over others: "masks", "annotations"."""
    rest = further_words(name)
    return bool(rest) and rest <= _ANNOTATION_WORDS


@lru_cache(maxsize=4096)
def _words(name: str) -> tuple[str, ...]:
    """Split a name at all that is no letter, where a capital follows a small letter, "trainset"."""
    parts = (part.lower() for run in _WORD.findall(name) for part in _CAMEL.split(run))
    found = ((joined.groups() if (joined := _JOINED.fullmatch(p)) else (p,)) for p in parts)
    return tuple(word for some in found for word in some)
