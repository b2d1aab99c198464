"""What a file's folders say: its class, its split, or that it is litter of the system."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from tlcore.datasets.formats import has_image_ending

EXPECTED_LAYOUT = (
    "a folder for each class with its pictures inside (ants/1.jpg, bees/2.jpg), "
    "or train/ and val/ with such folders in them"
)

# What a folder may be called to mean a split, in lower case.
SPLIT_FOLDERS: Mapping[str, str] = MappingProxyType(
    {
        "train": "train",
        "training": "train",
        "val": "val",
        "valid": "val",
        "validation": "val",
        "test": "test",
        "testing": "test",
    }
)
_LITTER = frozenset({"__macosx", "thumbs.db", "desktop.ini"})


def is_litter(file: str) -> bool:
    """True for what systems leave behind: hidden files and folders, __MACOSX, Thumbs.db."""
    return any(part.startswith(".") or part.lower() in _LITTER for part in _parts(file))


def label_and_split(file: str, outer: str | None = None) -> tuple[str | None, str | None]:
    """The class and the split that a file's folders name.

    Args:
        file: name with folders, "train/ants/1.jpg".
        outer: a folder around everything, as `outer_folder` finds it from all the names; "" for
            none. Unknown (None), one folder around a class folder is taken for such a folder.

    Returns:
        (label, split); the label is None for a file in no class folder, the split None if none
        is named. Folders inside a class folder belong to that class.
    """
    folders = _parts(file)[:-1]
    if outer and folders and folders[0] == outer:
        folders = folders[1:]
    at = next((i for i, name in enumerate(folders[:2]) if name.lower() in SPLIT_FOLDERS), None)
    if at is not None:
        inside = folders[at + 1 :] or folders[:at]  # train/ants, or else ants/train
        return (inside[0] if inside else None), SPLIT_FOLDERS[folders[at].lower()]
    if not folders:
        return None, None
    return (folders[0] if outer is not None else folders[:2][-1]), None


def outer_folder(files: Iterable[str]) -> str:
    """The one folder that surrounds all class folders, or "".

    Only pictures in folders count, by their endings: a stray file beside the folder changes
    nothing. With pictures of its own the folder surrounds others only if they are two or more;
    else it is a class with a folder inside. A folder named like a split is none.
    """
    names = (file for file in files if has_image_ending(file) and not is_litter(file))
    paths = [_parts(file)[:-1] for file in names if ".." not in file]
    tops = {folders[0] for folders in paths if folders}
    inside = {folders[1] for folders in paths if len(folders) > 1}
    own_pictures = any(len(folders) == 1 for folders in paths)
    if len(tops) != 1 or len(inside) < (2 if own_pictures else 1):
        return ""
    top = tops.pop()
    return "" if top.lower() in SPLIT_FOLDERS else top


def _parts(file: str) -> list[str]:
    return [part for part in file.replace("\\", "/").split("/") if part not in ("", ".", "..")]
