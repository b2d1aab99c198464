"""Image datasets in Parquet files, as the Hugging Face hub has them.

A row is an image (a struct of ``bytes`` and ``path``, or the bytes alone) and its label. The names
of the labels are in the file's metadata (https://huggingface.co/docs/datasets/image_dataset).
"""

from __future__ import annotations

import json
import re
from pathlib import PurePosixPath
from typing import IO, Any

from tlcore.datasets.dataset import Incoming
from tlcore.datasets.image_io import format_of
from tlcore.datasets.spool import Spool
from tlcore.errors import BadDataset
from tlcore.settings import Limits
from tlcore.text import file_size

_BATCH = 32  # rows that are in memory at once
_SHARD = re.compile(r"(.+?)-\d+-of-\d+")  # "train-00000-of-00002"
_LABEL_COLUMNS = ("label", "labels", "class", "category", "target", "fine_label")


def read_parquet(file: IO[bytes], name: str, limits: Limits) -> list[Incoming]:
    """Take the images out of a Parquet file; read in pieces, so that memory stays level.

    Args:
        file: can seek.
        name: of the file: "data/train-00000-of-00002.parquet" is in the split "train".
        limits: of the number of images and their size.

    Returns:
        The images, named by split, label and row: "train/cat/00000 12.jpg".

    Raises:
        BadDataset: no column holds images.
    """
    import pyarrow.parquet as pq

    parquet = pq.ParquetFile(file, buffer_size=2**20, pre_buffer=False)
    image, label, names = _find_columns(parquet.schema_arrow, name)
    stem = PurePosixPath(name).stem
    shard = _SHARD.fullmatch(stem)
    split = shard[1] if shard else "" if stem.isdigit() else stem
    number = stem.removeprefix(f"{split}-").partition("-")[0] if shard else stem
    spool = Spool()
    incoming: list[Incoming] = []
    columns = [column for column in (image, label) if column]
    for batch in parquet.iter_batches(_BATCH, columns=columns):
        labels = batch.column(label).to_pylist() if label else [None] * len(batch)
        for value, given in zip(batch.column(image).to_pylist(), labels, strict=True):
            row = len(incoming)
            if row == limits.archive_files or spool.size > limits.archive_unpacked_bytes:
                incoming.append(_too_many(name, row, limits))
                return incoming
            folders = [part for part in (split, _label_name(given, names)) if part]
            data = value.get("bytes") if isinstance(value, dict) else value
            form = format_of(data or b"")
            base = "/".join([*folders, f"{number} {row:05}.{form.ending if form else 'jpg'}"])
            if data:
                incoming.append(spool.append(base, data))
            else:
                reason = "Expected the bytes of an image. Received a row without them."
                incoming.append(Incoming.refused(base, reason))
    return incoming


def _find_columns(schema: Any, name: str) -> tuple[str, str, list[str]]:
    """Return the columns of images and labels ("" for none), and the names of the labels."""
    import pyarrow as pa

    def holds_images(field: Any) -> bool:
        if pa.types.is_struct(field.type):
            return bool(field.type.get_field_index("bytes") >= 0)
        return bool(pa.types.is_binary(field.type) or pa.types.is_large_binary(field.type))

    images = [field.name for field in schema if holds_images(field)]
    if not images:
        raise BadDataset(
            f"{name}: Expected a column of images (bytes and path). Received the columns "
            f"{', '.join(schema.names[:8])}."
        )
    features = _features(schema)
    named = [each for each, feature in features.items() if _class_names(feature)]
    usual = [each for each in _LABEL_COLUMNS if each in schema.names]
    label = next(iter([*named, *usual]), "")
    return images[0], label, _class_names(features.get(label)) if label else []


def _features(schema: Any) -> dict[str, Any]:
    """Return what the metadata say about each column; nothing where there are none."""
    try:
        info = json.loads((schema.metadata or {})[b"huggingface"])
        return dict(info["info"]["features"])
    except (KeyError, TypeError, ValueError):
        return {}


def _class_names(feature: Any) -> list[str]:
    names = feature.get("names") if isinstance(feature, dict) else None
    return [str(each) for each in names] if isinstance(names, list) else []


def _label_name(value: object, names: list[str]) -> str:
    """Return the folder of a label; "" where an image has none."""
    if value is None or value == -1:  # as the hub marks the images of a test split
        return ""
    if isinstance(value, int) and 0 <= value < len(names):
        value = names[value]
    return str(value).strip().replace("/", "-").replace("\\", "-")


def _too_many(name: str, row: int, limits: Limits) -> Incoming:
    return Incoming.refused(
        f"{name} row {row}",
        f"Expected at most {limits.archive_files:,} images and "
        f"{file_size(limits.archive_unpacked_bytes)} in a file. Received more: this row and those "
        "after it are left out.",
    )
