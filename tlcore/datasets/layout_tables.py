"""Tables beside images that say their labels or splits: CSV, TSV, JSON Lines, plain lists.

A column is that of file names if its cells name images, with or without folder and ending. Labels
are in a column with such a heading (`label`, `breed`) or the only one left, or one-hot in columns
of 0 and 1; splits in a column of such words, or in the table's own name (`test.txt`). Tables of
the same columns are read as one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

_ENDINGS = (".csv", ".tsv", ".txt", ".jsonl", ".ndjson")
TABLE_BYTES = 32 * 2**20  # a larger file is no table of labels
_SIGNS = re.compile(r'[/\\:*?"<>|\x00-\x1f]+')  # that no folder's name may hold
_LABEL_WORD = re.compile(
    r"(?:^|[^a-z])(labels?|class(es)?|categor(y|ies)|targets?|breeds?|species|diagnosis|disease|dx"
    r"|variety|label_?name|class_?name)(?:$|[^a-z])"
)
_ONE_HOT = {"0": 0, "0.0": 0, "": 0, "false": 0, "1": 1, "1.0": 1, "true": 1}
_MOST = 0.9  # of rows that must fit where not all need to


@dataclass(frozen=True)
class TableReading:
    """A table that names images, and what of it is used."""

    name: str  # of its file; of several that are read as one: "train.csv, test.csv"
    columns: tuple[str, ...]  # headings, or "column 1" … where it has none
    file_column: str
    label_columns: tuple[str, ...]  # one, or those of one-hot labels; none where it has no labels
    split_column: str  # "" for none
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


def has_table_ending(file: str) -> bool:
    """Whether the content of a file is to be listed with its name, up to ``TABLE_BYTES``."""
    return file.lower().endswith(_ENDINGS)


def read_tables(
    contents: Mapping[str, bytes],
    images: Mapping[int, str],
    splits: Mapping[int, str | None],
    chosen: tuple[str, str, str, str],
) -> list[Table]:
    """Read the tables that name images, likeliest first.

    Args:
        contents: name of the table with its folders → its bytes.
        images: position in the listing → name.
        splits: position → split of the image by its folders, for names that several images have.
        chosen: table, file column, label column and split column as a person wants them; "" leaves
            each to the rules.
    """
    return []
