"""Tables beside images that say their labels or splits: CSV, TSV, JSON Lines, plain lists.

A column is that of file names if its cells name images, with or without folder and ending. Labels
are in a column with such a heading (`label`, `breed`) or the only one left, or one-hot in columns
of 0 and 1; splits in a column of such words, or in the table's own name (`test.txt`). Tables of
the same columns are read as one.
"""

from __future__ import annotations

import csv
import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile

from tlcore.datasets.folder_names import is_split_name, split_of
from tlcore.datasets.image_io import has_image_ending
from tlcore.text import composed, natural_key

TABLE_BYTES = 32 * 2**20  # a larger file is no table of labels
_ENDINGS = (".csv", ".tsv", ".txt", ".jsonl", ".ndjson")
_UNSAFE = re.compile(r'[/\\:*?"<>|\x00-\x1f\x7f]+')  # in a class's name, which may become a folder
_LABEL_HEADING = re.compile(
    r"(^|_)(labels?|class(es)?|category|categories|targets?|breeds?|species|variety|diagnosis"
    r"|disease|dx)_?(names?|text|ids?|index)?$"
)
_BINARY = {"0": False, "0.0": False, "false": False, "1": True, "1.0": True, "true": True}
_TRIED = 2_000  # rows by which a column of file names is looked for

Rows = list[list[str]]
Parts = Sequence[tuple[str, Rows]]  # name of a table, its rows


@dataclass(frozen=True)
class TableReading:
    """A table that names images, and what it says of each: position in the listing → value."""

    name: str  # of its file; of several that are read as one: "train.csv, test.csv"
    columns: tuple[str, ...]  # headings, or "column 1" … where it has none
    file_column: str
    label_columns: tuple[str, ...]  # one, or those of one-hot labels; none where it has no labels
    split_column: str  # "" for none
    is_sure: bool  # which column has the labels
    labels: Mapping[int, str]
    splits: Mapping[int, str]  # by that column or by its own name
    rows: int
    rows_without_image: tuple[str, ...]  # what they say in the file column
    images_without_row: int


def has_table_ending(file: str) -> bool:
    """Whether the content of a file is to be listed with its name, up to ``TABLE_BYTES``."""
    return file.lower().endswith(_ENDINGS)


def read_tables(
    contents: Mapping[str, bytes],
    images: Mapping[int, str],
    splits: Mapping[int, str | None],
    chosen: tuple[str, str, str, str],
) -> list[TableReading]:
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
            first = rows[0][column]
            has_titles = not (has_image_ending(first) or index.find(first, name) is not None)
            titles = rows.pop(0) if has_titles else [f"column {n + 1}" for n in range(len(rows[0]))]
            alike[tuple(titles), column].append((name, rows))
    tables = [_read(titles, parts, column, index, chosen[1:])
              for (titles, column), parts in alike.items()]  # fmt: skip
    kept = [t for t in tables if t.labels or t.splits or t.name == chosen[0]]
    return sorted(
        kept, key=lambda t: (t.name != chosen[0], not t.labels, not t.is_sure, -len(t.labels))
    )


class _Index:
    """Images by what tables call them."""

    def __init__(self, images: Mapping[int, str], splits: Mapping[int, str | None]) -> None:
        self.images, self._splits = images, splits
        self._by_stem: dict[str, list[int]] = defaultdict(list)
        for at, name in images.items():
            self._by_stem[_stem(name)].append(at)

    def find(self, cell: str, table: str) -> int | None:
        """Return the image that a cell names, None if there is none or it is not clear which.

        Of several images of that name it is the one whose folders agree best with the cell's,
        then with the table's, then the one in the split of the table's name.
        """
        cell = cell.replace("\\", "/")
        folder = cell.rpartition("/")[0].strip("/")
        some = self._by_stem.get(_stem(cell), []) if cell else []
        if folder and (split := split_of(folder)):
            some = [at for at in some if self._splits[at] in (split, None)]
        if len(some) > 1:
            scores = {at: self._score(at, folder, table) for at in some}
            best = max(scores.values())
            some = [at for at in some if scores[at] == best]
        return some[0] if len(some) == 1 else None

    def _score(self, at: int, folder: str, table: str) -> tuple[int, int, bool]:
        inside = _folded(self.images[at]).split("/")[:-1]
        alike = zip(reversed(inside), reversed(_folded(folder).split("/")), strict=False)
        near = zip(inside, _folded(table).split("/")[:-1], strict=False)
        in_split = self._splits[at] is not None and self._splits[at] == split_of(_base(table))
        return _count_equal(alike), _count_equal(near), in_split


def _count_equal(pairs: Iterable[tuple[str, str]]) -> int:
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))


def _base(table: str) -> str:
    return table.rpartition("/")[2].rpartition(".")[0]


def _stem(file: str) -> str:
    name = file.rpartition("/")[2]
    return _folded(name.rpartition(".")[0] if has_image_ending(name) else name)


def _folded(text: str) -> str:
    return composed(text).casefold()


def _parse(name: str, content: bytes) -> Rows:
    """Return the rows of a table with its headings, all of one length; none if it is no table."""
    is_utf16 = content.startswith((b"\xff\xfe", b"\xfe\xff"))
    try:
        text = content.decode("utf-16" if is_utf16 else "utf-8-sig")
    except UnicodeDecodeError:
        text = content.decode("cp1252", "replace")  # as spreadsheets on Windows write
    lines = [line for line in text.replace("\0", "").splitlines() if line.strip()]
    if name.lower().endswith(("jsonl", "ndjson")):
        return _parse_json(lines)
    signs = "\t,;| " if name.lower().endswith(".txt") else "\t,;|"
    in_all = (sign for sign in signs if all(sign in line for line in lines[:20]))
    sign = next(in_all, ",")
    try:  # a list of "name label" may have a label of several words
        rows = [line.split(None, 1) for line in lines] if sign == " " else list(
            csv.reader(lines, delimiter=sign, skipinitialspace=True))  # fmt: skip
    except csv.Error:
        return []
    length = Counter(map(len, rows)).most_common(1)[0][0] if rows else 0
    return [[cell.strip() for cell in row[:length]] + [""] * (length - len(row)) for row in rows]


def _parse_json(lines: Iterable[str]) -> Rows:
    try:
        rows = [row for row in map(json.loads, lines) if isinstance(row, dict)]
    except (ValueError, RecursionError):
        return []
    titles = list(dict.fromkeys(key for row in rows for key in row))
    return [titles, *([_cell(row.get(key)) for key in titles] for row in rows)] if titles else []


def _cell(value: object) -> str:
    return value if isinstance(value, str) else "" if value is None else json.dumps(value)


def _find_file_column(rows: Rows, index: _Index, name: str) -> int:
    """Return the column that names images in most of its rows, or most of the images; else -1."""
    step = max(1, len(rows) // _TRIED)
    tried = rows[1::step] or rows
    best, most = -1, 0.499 / step
    for column in range(len(rows[0])):
        cells = {row[column] for row in tried}
        found = [cell for cell in cells if index.find(cell, name) is not None]
        share = len(found) / max(1, min(len(tried), len(index.images)))
        share *= 1 + 0.01 * any(map(has_image_ending, found))  # "12.jpg" rather than row 12
        if share > most:
            best, most = column, share
    return best


def _read(
    titles: tuple[str, ...], parts: Parts, file: int, index: _Index, chosen: Sequence[str]
) -> TableReading:
    """Read what the rows of a table say; of an image with several labels nothing is known."""
    own = [titles.index(title) if title and title in titles else -1 for title in chosen]
    file = own[0] if own[0] >= 0 else file
    given: dict[int, set[str]] = defaultdict(set)
    splits: dict[int, str] = {}
    missing: list[str] = []
    rows = [row for _, some in parts for row in some]
    label_columns, split_column, is_sure = _choose_columns(titles, rows, file, own[1], own[2])
    for name, some in parts:
        by_name = split_of(_base(name)) if is_split_name(_base(name)) else None
        for row in some:
            at = index.find(row[file], name)
            if at is None:
                missing.append(row[file])
                continue
            given[at].add(_label(row, titles, label_columns))
            if split := split_of(row[split_column]) if split_column >= 0 else by_name:
                splits[at] = split
    return TableReading(
        ", ".join(name for name, _ in parts),
        titles,
        titles[file],
        tuple(titles[column] for column in label_columns),
        titles[split_column] if split_column >= 0 else "",
        is_sure,
        {at: label for at, (label, *more) in given.items() if label and not more},
        splits,
        len(rows),
        tuple(missing),
        len(index.images) - len(given),
    )


def _choose_columns(
    titles: tuple[str, ...], rows: Rows, file: int, label: int, split: int
) -> tuple[list[int], int, bool]:
    """Return the columns of labels and that of splits, -1 for none, and whether that is sure.

    ``label`` and ``split`` are those that a person chose, or -1.
    """
    values = {column: Counter(row[column] for row in rows if row[column])
              for column in range(len(titles)) if column != file}  # fmt: skip
    split = split if split >= 0 else next((c for c in values if _has_splits(values[c])), -1)
    rest = [column for column in values if column not in (split, label)]
    several = [column for column in rest if len(values[column]) > 1]
    named = [c for c in several if _LABEL_HEADING.search(re.sub(r"\W+", "_", titles[c].lower()))]
    if label >= 0 or named:
        words = [column for column in named if not _is_numeric(values[column])]
        return [label if label >= 0 else (words or named)[0]], split, True
    binary = [column for column in rest if {v.lower() for v in values[column]} <= _BINARY.keys()]
    is_one_hot = sum(sum(_is_set(row[c]) for c in binary) == 1 for row in rows) > len(rows) / 2
    if len(binary) > 1 and is_one_hot:
        return binary, split, True
    fitting = [column for column in several if len(values[column]) <= max(2, len(rows) / 2)
               and len(values[column]) < len(rows)
               and (len(rest) == 1 or not _is_numeric(values[column]))]  # fmt: skip
    return fitting[:1], split, len(rest) == 1


def _is_set(cell: str) -> bool:
    return _BINARY.get(cell.lower(), False)


def _has_splits(values: Counter[str]) -> bool:
    """Whether nearly all values of a column are words of several splits."""
    named = {value: split for value in values if (split := split_of(value))}
    are_most = sum(values[value] for value in named) > 0.9 * values.total()
    return len(values) < 9 and are_most and len(set(named.values())) > 1


def _is_numeric(values: Iterable[str]) -> bool:
    return all(re.fullmatch(r"[-+0-9.,eE]+", value) for value in values)


def _label(row: list[str], titles: tuple[str, ...], columns: list[int]) -> str:
    """Return the label that a row gives, as a folder could be called; "" for none."""
    text = row[columns[0]] if columns else ""
    if len(columns) > 1:
        hot = [column for column in columns if _is_set(row[column])]
        text = titles[hot[0]] if len(hot) == 1 else ""
    return " ".join(_UNSAFE.sub("-", composed(text)).split()).strip(". ")
