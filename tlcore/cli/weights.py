"""``weights``: pretrained weights here; ``weights fetch``: download more; ``weights convert``."""

from __future__ import annotations

import argparse
import os
import sys
from contextlib import ExitStack
from functools import partial
from typing import Any, TextIO

from tlcore.cli.options import Subparsers, add_options, chosen_size, write_json
from tlcore.jobs import Progress, report_job
from tlcore.models.catalog import DEFAULT, get_backbone
from tlcore.models.predictions import ModelRef
from tlcore.models.runtime import backbone_network, find_conversion, start_conversion
from tlcore.models.weights import (
    BackboneWeights,
    download_weights,
    list_weights,
    weights_file_name,
)
from tlcore.settings import Settings
from tlcore.storage import lock_file

NICENESS = 10


def add(subparsers: Subparsers) -> None:
    """Add the commands."""
    parser = subparsers.add_parser("weights", help=__doc__)
    parser.set_defaults(run=show_weights)
    add_options(parser, "json")
    commands = parser.add_subparsers(metavar="fetch|convert")
    fetch = commands.add_parser("fetch", help="download weights")
    fetch.set_defaults(run=fetch_weights)
    fetch.add_argument("names", nargs="+", metavar="NAME", help="backbones")
    add_options(fetch, "progress-file", "size", "json")
    convert = commands.add_parser("convert", help="convert a network for LiteRT, which is faster")
    convert.set_defaults(run=convert_network)
    convert.add_argument("name", nargs="?", metavar="NAME", default=DEFAULT, help=f"({DEFAULT})")
    convert.add_argument("--run", dest="trained", metavar="ID", help="the model of a run instead")
    convert.add_argument("--layer", action="append", default=[], help="with this output as well")
    convert.add_argument("--top", action="store_true", help="with ImageNet's classes")
    add_options(convert, "progress-file", "size", "random-weights", "json")


def show_weights(args: argparse.Namespace, settings: Settings, out: TextIO) -> int:
    """Print which weights of each backbone are here, and what is damaged."""
    rows = list_weights(settings)
    if args.json:
        write_json(out, [_json_row(row, settings) for row in rows])
        return 0
    for row in rows:
        notes = "; ".join(filter(None, (row.note, _runtime(row, settings))))
        out.write(f"{row.backbone.name:18} {_status(row):8} {notes}\n")
        out.writelines(f"{'':18} {damage}\n" for damage in row.damage)
    out.write(f"in {settings.weights}\n")
    return 0


def _status(row: BackboneWeights) -> str:
    if row.damage:
        return "damaged"
    return {2: "ready", 1: "half", 0: "missing"}[bool(row.top) + bool(row.no_top)]


def _runtime(row: BackboneWeights, settings: Settings) -> str:
    """Return what computes a backbone's features at its own size, where it is known."""
    if row.no_top is None or settings.runtime == "keras":
        return ""
    ref = ModelRef(row.backbone.name, row.backbone.size)
    conversion = find_conversion(backbone_network(ref, settings), settings)
    return conversion.description if conversion else ""


def _json_row(row: BackboneWeights, settings: Settings) -> dict[str, Any]:
    names = {
        "top": weights_file_name(row.backbone, row.backbone.size, top=True),
        "no_top": weights_file_name(row.backbone, row.backbone.size, top=False),
    }
    return {
        "name": row.backbone.name,
        "ready": bool(row.top and row.no_top),
        "top": row.top and row.top.path,
        "no_top": row.no_top and row.no_top.path,
        "files": names,
        "damage": row.damage,
        "note": row.note,
        "runtime": _runtime(row, settings),
    }


def fetch_weights(args: argparse.Namespace, settings: Settings, out: TextIO) -> int:
    """Download the weights of backbones, with and without top; they are converted behind it."""
    paths = []
    with report_job(args.progress_file) as report:
        for name in args.names:
            row = get_backbone(name)
            size = row.check_size(chosen_size(args, name), top=False)
            for top in (True, False):
                progress = partial(_report_bytes, report, weights_file_name(row, size, top=top))
                paths.append(download_weights(row, size, settings, top=top, progress=progress))
            start_conversion(backbone_network(ModelRef(name, size), settings), settings)
    write_json(out, paths) if args.json else out.writelines(f"{path}\n" for path in paths)
    return 0


def convert_network(args: argparse.Namespace, settings: Settings, out: TextIO) -> int:
    """Convert a network, compare it with Keras and print the result."""
    if args.progress_file:  # a page or a run has started it: people come first
        os.nice(NICENESS)
    with report_job(args.progress_file) as report, ExitStack() as held:
        if args.progress_file:  # one at a time: each takes a gigabyte
            held.enter_context(lock_file(settings.home / ".converting"))
        report(0, None, "Converting")
        from tlcore.training.transfer_model import convert_backbone, convert_run

        if args.trained:
            conversion = convert_run(args.trained, settings)
        else:
            ref = ModelRef(args.name, chosen_size(args, args.name), random=args.random_weights)
            conversion = convert_backbone(ref, settings, args.layer, top=args.top)
    write_json(out, conversion) if args.json else out.write(f"{conversion.description}\n")
    return 0


def _report_bytes(report: Progress, file: str, done: int, total: int | None) -> None:
    of = f" of {total / 1e6:.1f}" if total else ""
    sys.stderr.write(f"{file}: {done / 1e6:.1f}{of} MB\n")
    report(done, total, file)
