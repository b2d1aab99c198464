"""``features``: what one layer sees in an image."""

from __future__ import annotations

import argparse
import io
from pathlib import Path
from typing import TextIO

import numpy as np

from tlcore.activations.render import image
from tlcore.activations.tiles import Layout, broken, extremes
from tlcore.activations.values import ORDERS, DisplayOptions
from tlcore.cli.options import (
    Subparsers,
    add_backbone,
    add_fit,
    add_json,
    add_random_weights,
    add_size,
    output_file,
    size_of,
    write_json,
)
from tlcore.errors import BadConfig
from tlcore.models.catalog import DEFAULT
from tlcore.models.predictions import FeatureMaps, Floats, ModelRef
from tlcore.settings import Settings
from tlcore.storage import write_output
from tlcore.text import shorten, whole_number
from tlcore.training.store import load_run_info

MOST_CHANNELS = 100_000  # no network has as many: a slip of the keyboard fills no memory
OWN = ("backbone", "size", "fit", "random_weights")  # of a run: what its maps depend on


def add(subparsers: Subparsers) -> None:
    parser = subparsers.add_parser("features", help=__doc__)
    parser.add_argument("image", metavar="IMAGE", type=Path)
    parser.add_argument("--layer", required=True, metavar="NAME", help="with a spatial output")
    parser.add_argument("--run", dest="run_id", metavar="ID", help="a trained run's network")
    parser.add_argument(
        "--npz", metavar="FILE", type=output_file, help="write maps, float32 (height, width, c)"
    )
    parser.add_argument(
        "--png", metavar="FILE", type=output_file, help="write a page of them, drawn"
    )
    parser.add_argument(
        "--channels", metavar="LIST", type=_channels, help="only these, from 0: 0-3,7 (all)"
    )
    parser.add_argument("--order", choices=list(ORDERS), default="index", help="in --png (index)")
    parser.add_argument(
        "--scale",
        choices=("channel", "layer"),
        help="in --png: each channel's own, or the whole layer's (channel; layer with "
        "--compare-run, where 0 is in the middle)",
    )
    parser.add_argument(
        "--grid", metavar="RxC", type=_grid, default=Layout(), help="of --png (4x8)"
    )
    parser.add_argument(
        "--compare-run",
        metavar="ID",
        help="the run's maps less those of the network it was built on (or of --run): what it has "
        "changed; backbone, size and fit are the run's own",
    )
    add_backbone(parser)
    add_size(parser)
    add_fit(parser)
    add_random_weights(parser)
    add_json(parser)
    parser.set_defaults(run=features, backbone=None, fit=None)  # None: not said


def features(args: argparse.Namespace, settings: Settings, out: TextIO) -> int:
    from tlcore.datasets.image_io import read
    from tlcore.inference.tasks import load_model

    ref = _ref(args, settings)
    image = read(args.image, settings.limits)
    found = load_model(ref, settings).activations(image, args.layer)
    maps = found.maps
    if args.compare_run:
        run = load_model(ModelRef(run=args.compare_run), settings).activations(image, args.layer)
        with np.errstate(over="ignore", invalid="ignore"):  # told as not finite
            maps = run.maps - maps
    only = _within(args.channels, maps.shape[2])
    shown = maps[:, :, only]
    _write(args, maps, shown, only)
    answer = _answer(args, found, shown)
    if args.json:
        write_json(out, answer)
    else:
        out.writelines(f"{key:14} {value}\n" for key, value in answer.items() if value != "")
    return 0


def _write(args: argparse.Namespace, maps: Floats, shown: Floats, only: list[int]) -> None:
    """Write the files that were asked for, whole or not at all."""
    if args.npz:
        buffer = io.BytesIO()
        np.savez_compressed(buffer, maps=shown)
        write_output(args.npz, buffer.getvalue())
    if args.png:
        view = DisplayOptions(args.grid, args.order, *_colours(args))
        write_output(args.png, image(maps, view, only))


def _colours(args: argparse.Namespace) -> tuple[str, str]:
    """Return scale and palette; a difference has 0 in the middle of both."""
    if args.compare_run:
        return ("channel zero" if args.scale == "channel" else "zero"), "signed"
    return args.scale or "channel", "grey"


def _answer(args: argparse.Namespace, found: FeatureMaps, shown: Floats) -> dict[str, object]:
    low, high = extremes(shown)
    answer = {
        "image": str(args.image),
        "layer": found.layer,
        "shape": shown.shape,
        "min": float(low.min()),
        "max": float(high.max()),
        "weights": found.source,
        "note": found.note,
    }
    if args.compare_run:
        largest = float(np.abs((low, high)).max())
        answer |= {"compared_with": args.compare_run, "largest": largest}
    if part := float(broken(shown).mean()):  # min, max and largest are of the others
        answer["not_finite"] = part
    return answer


def _ref(args: argparse.Namespace, settings: Settings) -> ModelRef:
    """Return whose maps are wanted, or those from which the compared run's are to differ."""
    if args.compare_run:
        _check_own(args, settings)
        config = load_run_info(args.compare_run, settings).config
        own = ModelRef(config.backbone, config.size, config.fit, config.random_weights, top=False)
        return ModelRef(run=args.run_id) if args.run_id else own
    if args.run_id:
        return ModelRef(run=args.run_id)
    name = args.backbone or DEFAULT
    size = size_of(args, name)
    return ModelRef(name, size, args.fit or "crop", args.random_weights, top=False)


def _check_own(args: argparse.Namespace, settings: Settings) -> None:
    """Raise BadConfig where two networks would differ by more than what the run has learned."""
    config = load_run_info(args.compare_run, settings).config
    other = load_run_info(args.run_id, settings).config if args.run_id else args
    for name in OWN:
        ours, theirs = getattr(config, name), getattr(other, name)
        said = args.run_id or theirs  # an option that was not given is the run's own
        if said and ours != theirs:
            what = name.replace("_", " ")
            whose = f"run {args.run_id}" if args.run_id else f"--{name.replace('_', '-')}"
            raise BadConfig(
                f"Expected {what} {ours}, that of run {args.compare_run}. Received {theirs} from "
                f"{whose}. The maps would differ by more than what was learned: "
                + ("choose runs of one kind." if args.run_id else "leave that out.")
            )


def _within(channels: list[int] | None, count: int) -> list[int]:
    """Return the channels that are wanted; numbered from 0, as in the NPZ."""
    if channels is None:
        return list(range(count))
    if outside := [number for number in channels if number >= count]:
        raise BadConfig(f"Expected channels from 0 to {count - 1}. Received {outside[0]}.")
    return channels


def _channels(text: str) -> list[int]:
    """Read "0-3,7" as 0, 1, 2, 3, 7."""
    channels: list[int] = []
    for part in text.split(","):
        first, dash, last = part.strip().partition("-")
        low, high = whole_number(first), whole_number(last if dash else first)
        if low is None or high is None or not low <= high < MOST_CHANNELS:
            raise argparse.ArgumentTypeError(
                f"Expected channels like 0-3,7, each below {MOST_CHANNELS:,}. "
                f"Received {shorten(repr(text))}."
            )
        channels += range(low, high + 1)
    return channels


def _grid(text: str) -> Layout:
    first, _, second = text.lower().partition("x")
    rows, columns = whole_number(first), whole_number(second)
    if rows is None or columns is None:
        raise argparse.ArgumentTypeError(
            f"Expected rows and columns like 4x8. Received {shorten(repr(text))}."
        )
    try:
        return Layout(rows, columns)
    except BadConfig as error:
        raise argparse.ArgumentTypeError(str(error)) from error
