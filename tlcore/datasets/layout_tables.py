"""Tables beside images that say their labels or splits: CSV, TSV, JSON Lines, plain lists.

A column is that of file names if its cells name images, with or without folder and ending. Labels
are in a column with such a heading (`label`, `breed`) or the only one left, or one-hot in columns
of 0 and 1; splits in a column of such words, or in the table's own name (`test.txt`). Tables of
the same columns are read as one.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile
from unicodedata import normalize

from tlcore.datasets.folder_names import split_of
from tlcore.datasets.image_io import has_image_ending
from tlcore.text import natural_key

TABLE_BYTES = 32 * 2**20  # a larger file is no table of labels
_ENDINGS = (".csv", ".tsv", ".txt", ".jsonl", ".ndjson")
_UNSAFE = re.compile(r'[/\\:*?"<>|\x00-\x1f\x7f]+')  # in a class's name, which may become a folder
_LABEL_HEADING = re.compile(
    r"(^|_)(labels?|class(es)?|category|categories|targets?|breeds?|species|variety|diagnosis"
    r"|disease|dx)_?(names?|text|ids?|index)?$"
)
_BINARY = {"0": "", "0.0": "", "": "", "false": "", "1": "1", "1.0": "1", "true": "1"}
_MOST = 0.9  # of rows that fit where a few may not
_TRIED = 2_000  # rows by which a column of file names is looked for

Rows = list[list[str]]


@dataclass(frozen=True)
class TableReading:
    """A table that names images, and what of it is used."""

    name: str  # of its file; of several that are read as one: "train.csv, test.csv"
    columns: tuple[str, ...]  # headings, or "column 1" … where it has none
    file_column: str
    label_columns: tuple[str, ...]  # one, or those of one-hot labels; none where it has no labels
    split_column: str  # "" for none
    splits: int  # images of which it says the split, by that column or by its own name
    rows: int
    rows_without_image: tuple[str, ...]  # what they say in the file column
    images_without_row: int


@dataclass(frozen=True)
class Table:
    """A table that names images, with what it says of each: position in the listing → value."""

    reading: TableReading
    labels: Mapping[int, str]
    splits: Mapping[int, str]
    is_sure: bool  # which column has the labels


@dataclass(frozen=True)
class _Columns:
    """Which columns of a table are used, by position; -1 for none."""

    file: int
    labels: tuple[int, ...]
    split: int
    is_sure: bool


def has_table_ending(file: str) -> bool:
    """Whether the content of a file is to be listed with its name, up to ``TABLE_BYTES``."""
    return file.lower().endswith(_ENDINGS)


def read_tables(
    contents: Mapping[str, bytes],
    images: Mapping[int, str],
    splits: Mapping[int, str | None],
    chosen: tuple[str, str, str, str],
) -> list[Table]:
    """Read the tables that name images, likeliest first; the chosen one before all.

    Args:
        contents: name of the table with its folders → its bytes.
        images: position in the listing → name.
        splits: position → split of the image by its folders, for names that several images have.
        chosen: table, file column, label column and split column as a person wants them; "" leaves
            each to the rules.
    """
    index = _Index(images if contents else {}, splits)
    alike: dict[tuple[tuple[str, ...], int], list[tuple[str, Rows]]] = defaultdict(list)
    for name in sorted(contents, key=natural_key):
        if "submission" in name.lower() and name != chosen[0]:
            continue  # made-up labels of the images to be judged
        rows = _parse(name, contents[name])
        if rows and (column := _find_file_column(rows, index, name)) >= 0:
            titles = _take_headings(rows, column, index, name)
            alike[titles, column].append((name, rows))
    tables = [
        _read(titles, parts, index, _choose_columns(titles, parts, column, chosen[1:]))
        for (titles, column), parts in alike.items()
    ]
    kept = [t for t in tables if t.labels or t.splits or t.reading.name == chosen[0]]
    return sorted(kept, key=lambda t: (t.reading.name != chosen[0], not t.labels, not t.is_sure,
                                       -len(t.labels)))  # fmt: skip


class _Index:
    """Images by what tables call them."""

    def __init__(self, images: Mapping[int, str], splits: Mapping[int, str | None]) -> None:
        self.images, self._splits = images, splits
        self._by_stem: dict[str, list[int]] = defaultdict(list)
        for at, name in images.items():
            self._by_stem[_stem(name.rpartition("/")[2])].append(at)

    def find(self, cell: str, table: str) -> int | None:
        """Return the image that a cell names, None if there is none or it is not clear which.

        Of several images of that name it is the one whose folders agree best with the cell's,
        then with the table's, then the one in the split of the table's name.
        """
        folder, _, name = cell.strip().replace("\\", "/").rpartition("/")
        some = self._by_stem.get(_stem(name)) if name else None
        if not some or (len(some) == 1 and not folder):
            return some[0] if some else None
        split = split_of(folder) if folder else None
        fitting = [at for at in some if not split or self._splits[at] in (split, None)]
        if len(fitting) < 2:
            return fitting[0] if fitting else None
        scores = {at: self._score(at, folder, table) for at in fitting}
        best = max(scores.values())
        first = [at for at in fitting if scores[at] == best]
        return first[0] if len(first) == 1 else None

    def _score(self, at: int, folder: str, table: str) -> tuple[int, int, bool]:
        inside = _folded(self.images[at]).split("/")[:-1]
        in_cell = _folded(folder).strip("/").split("/")
        in_table = _folded(table).split("/")
        alike = zip(reversed(inside), reversed(in_cell), strict=False)
        near = zip(inside, in_table[:-1], strict=False)
        return (
            sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], alike)),
            sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], near)),
            self._splits[at] is not None and self._splits[at] == split_of(_base(table)),
        )


def _base(table: str) -> str:
    return table.rpartition("/")[2].rpartition(".")[0]


def _stem(name: str) -> str:
    return _folded(name.rpartition(".")[0] if has_image_ending(name) else name)


def _folded(text: str) -> str:
    return (text if text.isascii() else normalize("NFC", text)).casefold()


def _parse(name: str, content: bytes) -> Rows:
    """Return the rows of a table with its headings, all of one length; none if it is no table."""
    text = _decode(content)
    if name.lower().endswith(("jsonl", "ndjson")):
        return _parse_json_lines(text)
    lines = [line for line in text.splitlines() if line.strip()]
    signs = "\t,;|" if not name.lower().endswith(".txt") else "\t,;| "
    counts = {sign: min(line.count(sign) for line in lines[:20]) for sign in signs if lines}
    sign = next((sign for sign, number in counts.items() if number), ",")
    if sign == " ":  # a list of "name label", the label perhaps of several words
        return _of_one_length([line.split(None, 1) for line in lines])
    try:
        return _of_one_length(list(csv.reader(io.StringIO("\n".join(lines).replace("\0", "")),
                                              delimiter=sign, skipinitialspace=True)))  # fmt: skip
    except csv.Error:
        return []


def _decode(content: bytes) -> str:
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        return content.decode("utf-16", "replace")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("cp1252", "replace")


def _parse_json_lines(text: str) -> Rows:
    rows = []
    for line in text.splitlines():
        try:
            row = json.loads(line or "null")
        except (ValueError, RecursionError):
            return []
        if isinstance(row, dict):
            rows.append({str(key): v if isinstance(v, str) else json.dumps(v)
                         for key, v in row.items() if v is not None})  # fmt: skip
    titles = list(dict.fromkeys(key for row in rows for key in row))
    return [titles, *([row.get(key, "") for key in titles] for row in rows)] if titles else []


def _of_one_length(rows: Rows) -> Rows:
    length = Counter(map(len, rows)).most_common(1)[0][0] if rows else 0
    return [[cell.strip() for cell in row[:length]] + [""] * (length - len(row)) for row in rows]


def _find_file_column(rows: Rows, index: _Index, name: str) -> int:
    """Return the column that names images in most of its rows, or most of the images; else -1."""
    step = max(1, len(rows) // _TRIED)
    best, most = -1, 0.0
    for column in range(len(rows[0])):
        cells = {row[column] for row in rows[1::step] or rows} - {""}
        found = [cell for cell in cells if index.find(cell, name) is not None]
        share = len(found) / max(1, min(len(rows[1::step] or rows), len(index.images)))
        share *= 1 + 0.01 * any(map(has_image_ending, found))  # "12.jpg" rather than row 12
        if share > most:
            best, most = column, share
    return best if most >= 0.5 / step or most >= 0.5 else -1


def _take_headings(rows: Rows, column: int, index: _Index, name: str) -> tuple[str, ...]:
    """Take the headings out of a table's rows, "column 1" … where it has none."""
    first = rows[0][column]
    if len(rows) > 1 and not has_image_ending(first) and index.find(first, name) is None:
        return tuple(rows.pop(0))
    return tuple(f"column {number}" for number in range(1, len(rows[0]) + 1))


def _choose_columns(
    titles: tuple[str, ...],
    parts: Sequence[tuple[str, Rows]],
    file: int,
    chosen: Sequence[str],
) -> _Columns:
    """Choose the columns of file names, labels and splits, those that a person chose first."""
    own_file, own_label, own_split = (
        titles.index(title) if title and title in titles else -1 for title in chosen
    )
    file = own_file if own_file >= 0 else file
    rows = [row for _, some in parts for row in some]
    rest = {column: Counter(row[column] for row in rows if row[column])
            for column in range(len(titles)) if column != file}  # fmt: skip
    split = own_split
    if split < 0:
        split = next((c for c, values in rest.items() if _has_splits(values)), -1)
    rest.pop(split, None)
    if own_label >= 0:
        return _Columns(file, (own_label,), split, True)
    several = {column: values for column, values in rest.items() if len(values) > 1}
    named = [c for c in several if _LABEL_HEADING.search(re.sub(r"\W+", "_", titles[c].lower()))]
    if named:
        return _Columns(file, (min(named, key=lambda c: _is_numeric(rest[c])),), split, True)
    binary = [c for c, values in rest.items() if {v.lower() for v in values} <= _BINARY.keys()]
    one_hot = sum(sum(bool(_BINARY[row[c].lower()]) for c in binary) == 1 for row in rows)
    if len(binary) > 1 and 2 * one_hot > len(rows):
        return _Columns(file, tuple(binary), split, True)
    fitting = [c for c, values in several.items() if len(values) <= max(2, len(rows) / 2)
               and len(values) < len(rows)]  # fmt: skip
    if len(rest) > 1:
        fitting = [column for column in fitting if not _is_numeric(rest[column])]
    return _Columns(file, tuple(fitting[:1]), split, len(rest) == 1)


def _has_splits(values: Counter[str]) -> bool:
    splits = {value: split_of(value) for value in values}
    named = sum(number for value, number in values.items() if splits[value])
    return 1 < len(values) < 9 and named > _MOST * values.total() and len(set(splits.values())) > 1


def _is_numeric(values: Iterable[str]) -> bool:
    return all(re.fullmatch(r"[-+0-9.,eE]+", value) for value in values)


def _read(
    titles: tuple[str, ...], parts: Sequence[tuple[str, Rows]], index: _Index, columns: _Columns
) -> Table:
    """Read what the rows of a table say; of an image with several labels nothing is known."""
    given: dict[int, set[str]] = defaultdict(set)
    splits: dict[int, str] = {}
    missing: list[str] = []
    for name, rows in parts:
        by_name = split_of(_base(name))
        for row in rows:
            at = index.find(row[columns.file], name)
            if at is None:
                missing.append(row[columns.file])
                continue
            given[at].add(_label(row, titles, columns))
            split = split_of(row[columns.split]) if columns.split >= 0 else by_name
            if split:
                splits[at] = split
    reading = TableReading(
        ", ".join(name for name, _ in parts),
        titles,
        titles[columns.file],
        tuple(titles[column] for column in columns.labels),
        titles[columns.split] if columns.split >= 0 else "",
        len(splits),
        sum(len(rows) for _, rows in parts),
        tuple(missing),
        len(index.images) - len(given),
    )
    labels = {at: label for at, some in given.items() if len(some) == 1 for label in some if label}
    return Table(reading, labels, splits, columns.is_sure)


def _label(row: list[str], titles: tuple[str, ...], columns: _Columns) -> str:
    """Return the label that a row gives, as a folder could be called; "" for none."""
    text = row[columns.labels[0]] if columns.labels else ""
    if len(columns.labels) > 1:
        hot = [column for column in columns.labels if _BINARY[row[column].lower()]]
        text = titles[hot[0]] if len(hot) == 1 else ""
    text = text if text.isascii() else normalize("NFC", text)
    return " ".join(_UNSAFE.sub("-", text).split()).strip(". ")
