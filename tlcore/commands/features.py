"""``features``: what one layer sees in an image."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TextIO

import numpy as np

from tlcore.commands.words import (
    Subparsers,
    add_backbone,
    add_fit,
    add_json,
    add_random_weights,
    add_size,
    size_of,
    write_json,
)
from tlcore.errors import BadConfig
from tlcore.networks.answers import Floats, NetworkRef, Pretrained, Trained
from tlcore.networks.grid import Layout
from tlcore.networks.maps.drawing import picture
from tlcore.networks.maps.order import ORDERS
from tlcore.networks.maps.values import View
from tlcore.settings import Settings


def add(subparsers: Subparsers) -> None:
    parser = subparsers.add_parser("features", help=__doc__)
    parser.set_defaults(run=features)
    parser.add_argument("image", metavar="IMAGE", type=Path)
    parser.add_argument("--layer", required=True, metavar="NAME", help="with a spatial output")
    parser.add_argument("--run", dest="run_id", metavar="ID", help="a trained run's network")
    parser.add_argument("--npz", metavar="FILE", help="write maps, float32 (height, width, c)")
    parser.add_argument("--png", metavar="FILE", type=Path, help="write a page of them, drawn")
    parser.add_argument(
        "--channels", metavar="LIST", type=_channels, help="only these, from 0: 0-3,7 (all)"
    )
    parser.add_argument("--order", choices=list(ORDERS), default="index", help="in --png (index)")
    parser.add_argument(
        "--scale", choices=("channel", "layer"), default="channel", help="in --png (channel)"
    )
    parser.add_argument(
        "--grid", metavar="RxC", type=_grid, default=Layout(), help="of --png (4x8)"
    )
    parser.add_argument(
        "--compare-run", metavar="ID", help="the run's maps less these: what it has changed"
    )
    add_backbone(parser)
    add_size(parser)
    add_fit(parser)
    add_random_weights(parser)
    add_json(parser)


def features(args: argparse.Namespace, settings: Settings, out: TextIO) -> int:
    from tlcore.images.decode import read
    from tlcore.inference.tasks import network  # loads TensorFlow

    image = read(args.image, settings.limits)
    found = network(settings, _ref(args)).feature_maps(image, args.layer)
    maps = found.maps
    if args.compare_run:
        run = network(settings, Trained(args.compare_run)).feature_maps(image, args.layer)
        maps = _difference(maps, run.maps, args)
    shown = maps if args.channels is None else maps[:, :, _within(args.channels, maps.shape[2])]
    if args.npz:
        np.savez_compressed(args.npz, maps=shown)
    if args.png:
        view = View(args.grid, args.order, "zero" if args.compare_run else args.scale)
        args.png.write_bytes(picture(shown, view))
    answer = {
        "image": str(args.image),
        "layer": found.layer,
        "shape": shown.shape,
        "min": float(shown.min()),
        "max": float(shown.max()),
        "weights": found.source,
        "note": found.note,
    }
    if args.compare_run:
        answer |= {"compared_with": args.compare_run, "largest": float(np.abs(shown).max())}
    if args.json:
        write_json(out, answer)
    else:
        out.writelines(f"{key:14} {value}\n" for key, value in answer.items() if value != "")
    return 0


def _difference(ours: Floats, theirs: Floats, args: argparse.Namespace) -> Floats:
    if ours.shape != theirs.shape:
        raise BadConfig(
            f"Expected run {args.compare_run} to have the same maps at {args.layer}, "
            f"{ours.shape}. Received {theirs.shape}. Give the run's own --backbone and --size."
        )
    return theirs - ours


def _within(channels: list[int], count: int) -> list[int]:
    """Channels are numbered from 0, as in the NPZ."""
    if outside := [number for number in channels if number >= count]:
        raise BadConfig(f"Expected channels from 0 to {count - 1}. Received {outside[0]}.")
    return channels


def _channels(text: str) -> list[int]:
    """Read "0-3,7" as 0, 1, 2, 3, 7."""
    found: list[int] = []
    for part in text.split(","):
        first, dash, last = part.partition("-")
        if not first.isdecimal() or (dash and not last.isdecimal()):
            raise argparse.ArgumentTypeError(f"Expected channels like 0-3,7. Received {text!r}.")
        found += range(int(first), int(last or first) + 1)
    if not found:
        raise argparse.ArgumentTypeError(f"Expected channels like 0-3,7. Received {text!r}.")
    return found


def _grid(text: str) -> Layout:
    rows, x, columns = text.lower().partition("x")
    if not (x and rows.isdecimal() and columns.isdecimal()):
        raise argparse.ArgumentTypeError(f"Expected rows and columns like 4x8. Received {text!r}.")
    try:
        return Layout(int(rows), int(columns))
    except BadConfig as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _ref(args: argparse.Namespace) -> NetworkRef:
    if args.run_id:
        return Trained(args.run_id)
    size = size_of(args, args.backbone)
    return Pretrained(args.backbone, size, args.fit, args.random_weights, top=False)
