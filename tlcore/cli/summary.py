"""``summary``: the layers and parameters of a backbone; needs no weights."""

from __future__ import annotations

import argparse
from typing import TextIO

from tlcore.cli.options import Subparsers, add_options, chosen_size, write_json
from tlcore.models.catalog import get_backbone
from tlcore.settings import Settings


def add(subparsers: Subparsers) -> None:
    """Add the command."""
    parser = subparsers.add_parser("summary", help=__doc__)
    parser.set_defaults(run=summary)
    parser.add_argument("--no-top", action="store_true", help="end at the bottleneck features")
    parser.add_argument("--frozen", action="store_true", help="no layer is trainable")
    add_options(parser, "backbone", "size", "json")


def summary(args: argparse.Namespace, settings: Settings, out: TextIO) -> int:
    """Print Keras' summary, or its rows and totals as JSON."""
    from tlcore.models.build import build_architecture, freeze_base
    from tlcore.models.summary import summarize

    row = get_backbone(args.backbone)
    size = row.check_size(chosen_size(args, row.name), top=not args.no_top)
    model = build_architecture(row, size, top=not args.no_top, imagenet=True)
    if args.frozen:
        freeze_base(model)
    if args.json:
        write_json(out, summarize(model))
    else:
        model.summary(print_fn=lambda text: out.write(f"{text}\n"))
    return 0
