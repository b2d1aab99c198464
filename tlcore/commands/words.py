"""What several commands read and write in the same way."""

from __future__ import annotations

import argparse
import dataclasses
import json
from typing import Any, TextIO

from tlcore.images.geometry import FITS
from tlcore.networks.catalogue import BACKBONES, DEFAULT, backbone

Subparsers = Any  # argparse keeps the type of its subparsers to itself


def add_json(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="one JSON value on standard output")


def add_size(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--size", type=int, help="side of the input, pixels (the backbone's own)")


def add_fit(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--fit", choices=list(FITS), default="crop", help="geometry (crop)")


def add_random_weights(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--random-weights", action="store_true", help="do without ImageNet's weights; said so"
    )


def add_backbone(parser: argparse.ArgumentParser) -> None:
    known = ", ".join(BACKBONES)
    parser.add_argument("--backbone", default=DEFAULT, metavar="NAME", help=f"{DEFAULT}; {known}")


def size_of(args: argparse.Namespace, name: str) -> int:
    """Return the size asked for, or the backbone's own."""
    return args.size or backbone(name).size


def write_json(out: TextIO, value: Any) -> None:
    json.dump(value, out, indent=1, default=_plain, allow_nan=False)
    out.write("\n")


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.asdict(value)
    return str(value)
