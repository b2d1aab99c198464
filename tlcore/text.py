"""Text for people: counts, file sizes, shortened names, CSV that is safe in a spreadsheet."""

from __future__ import annotations

import csv
import io
import re
import unicodedata
from collections.abc import Iterable, Sequence
from datetime import date
from typing import Any

DIGITS = 18  # of a whole number that is read: it fits into 64 bits, as NumPy wants it
_NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?", re.ASCII)
_DIGITS = re.compile(r"([0-9]+)")
_FORMULA = ("=", "+", "-", "@", "＝", "＋", "－", "＠")
_CONTROL = ("\t", "\r", "\n")


def parse_whole_number(text: str) -> int | None:
    """Return the number that up to 18 decimal digits spell; None for any other text.

    ``str.isdecimal`` alone is not enough: it also takes digits of other scripts, and thousands of
    digits, for which ``int`` raises ValueError.
    """
    is_number = text.isascii() and text.isdecimal() and len(text) <= DIGITS
    return int(text) if is_number else None


def plural(number: int, noun: str, nouns: str = "") -> str:
    """Return "1 image", "2 images", "12,000 images"."""
    return f"{number:,} {noun if number == 1 else nouns or noun + 's'}"


def images_are(number: int, kind: str = "") -> str:
    """Return a number of images with its verb: "1 test image is", "12 images are"."""
    return f"{plural(number, f'{kind} image'.strip())} {'is' if number == 1 else 'are'}"


def composed(text: str) -> str:
    """Return a text with letters and their accents composed (NFC): macOS writes them apart."""
    return unicodedata.normalize("NFC", text)


def natural_key(text: str) -> tuple[list[str | tuple[int, str]], str]:
    """Return a key that sorts as people count: "2" before "10", "a" beside "A"."""
    parts: list[str | tuple[int, str]] = [*_DIGITS.split(text.casefold())]
    for at in range(1, len(parts), 2):
        number = str(parts[at]).lstrip("0")
        parts[at] = (len(number), number)
    return parts, text


def shorten(text: str, most: int = 80) -> str:
    """Return a text of at most so many characters, the rest of it as "…": for messages."""
    return text if len(text) <= most else f"{text[: most - 1]}…"


def name_download(title: str, what: str, moment: str = "") -> str:
    """Return the name of a file of a dataset of that title, for any file system: "ants-and-bees
    2026-03-09 images.zip". ``moment``: of what it holds; today if "".
    """
    title = "".join(sign if sign.isalnum() else "-" for sign in title).strip("-")[:40]
    return f"{title} {moment or date.today()} {what}"


def file_size(size: float) -> str:
    """Return "173 bytes", "181 kB", "3.2 MB", "14 MB", "1.2 GB"; a kB is 1024 bytes."""
    if size < 1000:
        return "1 byte" if round(size) == 1 else f"{size:.0f} bytes"
    if size < 1000 * 2**10:
        return f"{size / 2**10:.0f} kB"
    megabytes = size / 2**20
    if megabytes >= 1000:
        return f"{megabytes / 1024:.1f} GB"
    return f"{megabytes:.0f} MB" if megabytes >= 9.95 else f"{megabytes:.1f} MB"


def csv_text(rows: Iterable[Sequence[Any]]) -> str:
    """Return rows as comma-separated values that no spreadsheet takes for formulas."""
    out = io.StringIO()
    csv.writer(out).writerows([csv_cell(cell) for cell in row] for row in rows)
    return out.getvalue()


def csv_cell(value: Any) -> Any:
    """Return a cell that a spreadsheet shows and does not compute.

    A text that begins like a formula gets an apostrophe in front (OWASP, "CSV injection"):
    names of classes, files and runs come from other people. Numbers stay as they are.
    """
    if not isinstance(value, str) or _NUMBER.fullmatch(value):
        return value
    is_formula = value.startswith(_CONTROL) or value.lstrip().startswith(_FORMULA)
    return f"'{value}" if is_formula else value
