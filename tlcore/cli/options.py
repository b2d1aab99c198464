"""Options and output that several commands share."""

from __future__ import annotations

import argparse
import dataclasses
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TextIO

from tlcore.datasets.geometry import FITS
from tlcore.errors import StorageError
from tlcore.models.catalog import BACKBONES, DEFAULT, get_backbone
from tlcore.storage import check_output
from tlcore.text import parse_whole_number, shorten

Subparsers = Any  # argparse has no public type for it


def parse_integer(text: str) -> int:
    """Read a whole number, with or without a sign; for argparse."""
    number = parse_whole_number(text.removeprefix("-"))
    if number is None:
        raise argparse.ArgumentTypeError(
            f"Expected a whole number. Received {shorten(repr(text))}."
        )
    return -number if text.startswith("-") else number


def parse_number(text: str) -> float:
    """Read a number; for argparse."""
    try:
        return float(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(
            f"Expected a number. Received {shorten(repr(text))}."
        ) from error


def parse_output(text: str) -> Path:
    """Read the path of a file to write, refused here if it cannot be written; for argparse."""
    path = Path(text)
    try:
        check_output(path)
    except (StorageError, ValueError) as error:  # ValueError: a zero byte in the name
        raise argparse.ArgumentTypeError(str(error)) from error
    return path


# Options of several commands: name → what ``add_argument`` takes.
SHARED: dict[str, dict[str, Any]] = {
    "backbone": {
        "default": DEFAULT,
        "metavar": "NAME",
        "help": f"{DEFAULT}; {', '.join(BACKBONES)}",
    },
    "size": {
        "type": parse_integer,
        "metavar": "PIXELS",
        "help": "side of the input (the backbone's own)",
    },
    "fit": {"choices": list(FITS), "default": "crop", "help": "how an image becomes square (crop)"},
    "random-weights": {"action": "store_true", "help": "do without ImageNet's weights"},
    "json": {"action": "store_true", "help": "write one JSON value"},
    "progress-file": {"type": parse_output, "help": "JSON, replaced as the command goes on"},
}


def add_options(parser: argparse.ArgumentParser, *names: str) -> None:
    """Add options of ``SHARED`` to a command."""
    for name in names:
        parser.add_argument(f"--{name}", **SHARED[name])


def chosen_size(args: argparse.Namespace, name: str) -> int:
    """Return the chosen input size, or the backbone's own."""
    return args.size or get_backbone(name).size


def write_json(out: TextIO, value: Any) -> None:
    """Write one JSON value; NaN and infinity become null."""
    json.dump(_plain(value), out, indent=1, allow_nan=False)
    out.write("\n")


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        value = dataclasses.asdict(value)
    if isinstance(value, Mapping):
        return {str(name): _plain(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if isinstance(value, str | int | bool | None) else str(value)
