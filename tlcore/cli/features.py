"""``features``: the feature maps of one layer for one image."""

from __future__ import annotations

import argparse
import io
from pathlib import Path
from typing import TextIO

import numpy as np

from tlcore.activations.render import ORDERS, extremes, share_not_finite
from tlcore.activations.render import render_page as draw_maps
from tlcore.activations.values import DisplayOptions, Layout
from tlcore.cli.options import Subparsers, add_options, chosen_size, parse_output, write_json
from tlcore.datasets.image_io import read_image
from tlcore.errors import BadConfig
from tlcore.models.catalog import DEFAULT
from tlcore.models.predictions import FeatureMaps, Floats, ModelRef
from tlcore.settings import Settings
from tlcore.storage import write_output
from tlcore.text import parse_whole_number, shorten
from tlcore.training.store import load_run_info

MAX_CHANNELS = 100_000  # more than any layer has: a typing mistake must not fill the memory
SHARED = ("backbone", "size", "fit", "random_weights")  # equal in two models that are compared


def add(subparsers: Subparsers) -> None:
    """Add the command."""
    parser = subparsers.add_parser("features", help=__doc__)
    parser.add_argument("image", metavar="IMAGE", type=Path)
    parser.add_argument("--layer", required=True, metavar="NAME", help="with a spatial output")
    parser.add_argument("--run", dest="run_id", metavar="ID", help="the model of a run")
    parser.add_argument("--npz", metavar="FILE", type=parse_output, help="write the maps, float32 "
                        "(height, width, channels)")  # fmt: skip
    parser.add_argument("--png", metavar="FILE", type=parse_output, help="draw a page of them")
    parser.add_argument("--channels", metavar="LIST", type=_channels, help="only these, from 0: "
                        "0-3,7 (all)")  # fmt: skip
    parser.add_argument("--order", choices=list(ORDERS), default="index", help="in --png (index)")
    parser.add_argument("--scale", choices=("channel", "layer"), help="in --png: one for each "
                        "channel or one for the layer (channel; with --compare-run layer, 0 in "
                        "the middle)")  # fmt: skip
    parser.add_argument("--grid", metavar="RxC", type=_grid, default=Layout(), help="of --png "
                        "(4x8)")  # fmt: skip
    parser.add_argument("--compare-run", metavar="ID", help="the maps of this run minus those of "
                        "its backbone (or of --run)")  # fmt: skip
    add_options(parser, "backbone", "size", "fit", "random-weights", "json")
    parser.set_defaults(run=features, backbone=None, fit=None)  # None: not given


def features(args: argparse.Namespace, settings: Settings, out: TextIO) -> int:
    """Compute the maps, write the files asked for and print their range."""
    from tlcore.training.transfer_model import load_model

    ref = _model_ref(args, settings)
    image = read_image(args.image, settings.limits)
    feature_maps = load_model(ref, settings).activations(image, args.layer)
    maps = feature_maps.maps
    if args.compare_run:
        run = load_model(ModelRef(run=args.compare_run), settings)
        with np.errstate(over="ignore", invalid="ignore"):  # counted below as not finite
            maps = run.activations(image, args.layer).maps - maps
    channels = _check_channels(args.channels, maps.shape[2])
    shown = maps[:, :, channels]
    _write_files(args, maps, shown, channels)
    row = _json_row(args, feature_maps, shown)
    if args.json:
        write_json(out, row)
    else:
        out.writelines(f"{key:14} {value}\n" for key, value in row.items() if value != "")
    return 0


def _model_ref(args: argparse.Namespace, settings: Settings) -> ModelRef:
    """Return the model whose maps are drawn, or are subtracted from the compared run's."""
    if args.compare_run:
        _check_comparable(args, settings)
        config = load_run_info(args.compare_run, settings).config
        own = ModelRef(config.backbone, config.size, config.fit, config.random_weights, top=False)
        return ModelRef(run=args.run_id) if args.run_id else own
    if args.run_id:
        return ModelRef(run=args.run_id)
    name = args.backbone or DEFAULT
    size = chosen_size(args, name)
    return ModelRef(name, size, args.fit or "crop", args.random_weights, top=False)


def _check_comparable(args: argparse.Namespace, settings: Settings) -> None:
    """Raise BadConfig where two models differ by more than what the run was trained for."""
    config = load_run_info(args.compare_run, settings).config
    other = load_run_info(args.run_id, settings).config if args.run_id else args
    for name in SHARED:
        first, second = getattr(config, name), getattr(other, name)
        given = args.run_id or second  # an option that was not given is the run's own
        if given and first != second:
            what = name.replace("_", " ")
            source = f"run {args.run_id}" if args.run_id else f"--{name.replace('_', '-')}"
            raise BadConfig(
                f"Expected {what} {first}, that of run {args.compare_run}. Received {second} from "
                f"{source}. The maps would differ by more than what was trained: "
                + ("choose runs of one kind." if args.run_id else "leave that out.")
            )


def _write_files(args: argparse.Namespace, maps: Floats, shown: Floats, only: list[int]) -> None:
    if args.npz:
        buffer = io.BytesIO()
        np.savez_compressed(buffer, maps=shown)
        write_output(args.npz, buffer.getvalue())
    if args.png:
        options = DisplayOptions(args.grid, args.order, *_scale_and_palette(args))
        write_output(args.png, draw_maps(maps, options, only))


def _scale_and_palette(args: argparse.Namespace) -> tuple[str, str]:
    """Return both; a difference has 0 in the middle of both."""
    if args.compare_run:
        return ("channel zero" if args.scale == "channel" else "zero"), "signed"
    return args.scale or "channel", "grey"


def _json_row(
    args: argparse.Namespace, feature_maps: FeatureMaps, shown: Floats
) -> dict[str, object]:
    low, high = extremes(shown)
    row = {
        "image": str(args.image),
        "layer": feature_maps.layer,
        "shape": shown.shape,
        "min": float(low.min()),
        "max": float(high.max()),
        "weights": feature_maps.source,
        "note": feature_maps.note,
    }
    if args.compare_run:
        largest = float(np.abs((low, high)).max())
        row |= {"compared_with": args.compare_run, "largest": largest}
    if share := float(
        share_not_finite(shown).mean()
    ):  # min, max and largest are of the other values
        row["not_finite"] = share
    return row


def _check_channels(channels: list[int] | None, count: int) -> list[int]:
    """Return the channels asked for; numbered from 0, as in the NPZ."""
    if channels is None:
        return list(range(count))
    if outside := [number for number in channels if number >= count]:
        raise BadConfig(f"Expected channels from 0 to {count - 1}. Received {outside[0]}.")
    return channels


def _channels(text: str) -> list[int]:
    """Read "0-3,7" as 0, 1, 2, 3, 7."""
    channels: list[int] = []
    for item in text.split(","):
        first, dash, last = item.strip().partition("-")
        low, high = parse_whole_number(first), parse_whole_number(last if dash else first)
        if low is None or high is None or not low <= high < MAX_CHANNELS:
            raise argparse.ArgumentTypeError(
                f"Expected channels like 0-3,7, each below {MAX_CHANNELS:,}. "
                f"Received {shorten(repr(text))}."
            )
        channels += range(low, high + 1)
    return channels


def _grid(text: str) -> Layout:
    first, _, second = text.lower().partition("x")
    rows, columns = parse_whole_number(first), parse_whole_number(second)
    if rows is None or columns is None:
        raise argparse.ArgumentTypeError(
            f"Expected rows and columns like 4x8. Received {shorten(repr(text))}."
        )
    try:
        return Layout(rows, columns)
    except BadConfig as error:
        raise argparse.ArgumentTypeError(str(error)) from error
