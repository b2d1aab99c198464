"""``predict``: the classes that models predict for images."""

from __future__ import annotations

import argparse
import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import numpy as np
from PIL import Image

from tlcore.cli.options import (
    Subparsers,
    add_options,
    chosen_size,
    parse_integer,
    parse_output,
    write_json,
)
from tlcore.datasets.geometry import fit
from tlcore.errors import BadConfig, BadImage
from tlcore.models.catalog import DEFAULT
from tlcore.models.gradcam import Explanation, overlay_heat
from tlcore.models.predictions import ModelRef, Prediction
from tlcore.models.runtime import NotConverted, start_conversion
from tlcore.percentages import probability
from tlcore.settings import Settings
from tlcore.storage import write_output
from tlcore.text import csv_text
from tlcore.training import answers
from tlcore.training.answers import FrozenModel

if TYPE_CHECKING:
    from tlcore.models.loaded_model import LoadedModel

COLUMNS = ("rank", "index", "label", "wnid", "probability", "logit")
SIDE, OPACITY = 448, 0.6  # of an image in --explain, pixels; of the heat map over it


def add(subparsers: Subparsers) -> None:
    """Add the command."""
    parser = subparsers.add_parser("predict", help=__doc__)
    parser.set_defaults(run=predict)
    parser.add_argument("images", nargs="+", metavar="IMAGE")
    parser.add_argument("--backbone", action="append", metavar="NAME", help=f"({DEFAULT})")
    parser.add_argument("--run", dest="runs", action="append", metavar="ID", help="a trained run")
    parser.add_argument("--csv", metavar="FILE", type=parse_output, help="also write one line for "
                        "each rank; ' stands before a text like a formula")  # fmt: skip
    parser.add_argument("--explain", metavar="FILE.png", type=parse_output, help="write Grad-CAM "
                        "maps, one row an image, one column a model")  # fmt: skip
    parser.add_argument("--class", dest="class_name", metavar="NAME|INDEX", help="the class to "
                        "explain (the most probable one)")  # fmt: skip
    parser.add_argument(
        "--top", type=parse_integer, default=5, metavar="K", help="classes shown (5)"
    )
    add_options(parser, "size", "fit", "random-weights", "json")


def predict(args: argparse.Namespace, settings: Settings, out: TextIO) -> int:
    """Print the first classes of each image by each model; one failed image fails the command."""
    from tlcore.datasets.image_io import read_image

    if args.top < 1:
        raise BadConfig(f"Expected --top to be at least 1. Received {args.top}.")
    if args.class_name and not args.explain:
        raise BadConfig("Expected --explain FILE.png with --class. Received --class alone.")
    names, refs = zip(*_model_refs(args), strict=True)
    frozen = None if args.explain else _open_frozen(refs, settings)
    models = [] if frozen else _load(refs, settings)
    rows: list[dict[str, Any]] = []
    heat_maps: list[np.ndarray] = []
    for file in args.images:
        try:
            image = read_image(Path(file), settings.limits)
        except BadImage as error:
            rows.append({"image": file, "error": str(error)})
            continue
        if frozen:
            predictions = answers.predict(frozen, answers.run_networks(image, frozen, settings))
        else:
            predictions = [model.predict(image) for model in models]
        pairs = zip(names, predictions, strict=True)
        rows += [_row(file, name, each, args.top) for name, each in pairs]
        if args.explain:
            heat_maps.append(_draw_heat_maps(image, models, args.class_name))
    if args.csv:
        write_output(args.csv, csv_text(_csv_rows(rows)).encode(errors="surrogateescape"))
    if heat_maps:
        buffer = io.BytesIO()
        Image.fromarray(np.vstack(heat_maps)).save(buffer, "PNG")
        write_output(args.explain, buffer.getvalue())
    write_json(out, rows) if args.json else _write_table(rows, out)
    return 1 if any("error" in row for row in rows) else 0


def _model_refs(args: argparse.Namespace) -> list[tuple[str, ModelRef]]:
    names = args.backbone or ([] if args.runs else [DEFAULT])
    refs = [
        (name, ModelRef(name, chosen_size(args, name), args.fit, args.random_weights))
        for name in names
    ]
    return refs + [(run, ModelRef(run=run)) for run in args.runs or []]


def _open_frozen(refs: Sequence[ModelRef], settings: Settings) -> list[FrozenModel] | None:
    """Return the models without TensorFlow; None where one is not converted, which begins now."""
    try:
        frozen = [answers.open_model(ref, settings) for ref in refs]
        answers.open_runtimes(frozen, settings)
        return frozen
    except NotConverted as missing:
        for network in missing.networks:
            start_conversion(network, settings)
    return None


def _load(refs: Sequence[ModelRef], settings: Settings) -> list[LoadedModel]:
    from tlcore.training.transfer_model import load_model

    return [load_model(ref, settings) for ref in refs]


def _draw_heat_maps(
    image: Image.Image, models: Sequence[LoadedModel], class_name: str | None
) -> np.ndarray:
    """Return the image and beside it each model's Grad-CAM map over it, uint8 (h, w, 3)."""
    explanations: list[Explanation] = [model.explain(image, class_name) for model in models]
    squares = [fit(image, SIDE, each.fit) for each in explanations]
    maps = [
        overlay_heat(square, each.heat, OPACITY)
        for square, each in zip(squares, explanations, strict=True)
    ]
    return np.hstack([squares[0], *maps])


def _row(file: str, name: str, prediction: Prediction, top: int) -> dict[str, Any]:
    return {
        "image": file,
        "source": name,
        "weights": prediction.source,
        "size": prediction.size,
        "fit": prediction.fit,
        "note": prediction.note,
        "top": prediction.ranking(top),
    }


def _csv_rows(rows: Sequence[dict[str, Any]]) -> Iterator[Sequence[Any]]:
    yield ("image", "source", "weights", *COLUMNS, "error")
    for row in rows:
        if "error" in row:
            yield (row["image"], *[""] * (2 + len(COLUMNS)), row["error"])
        for ranked in row.get("top", ()):
            values = [getattr(ranked, name) for name in COLUMNS]
            yield (row["image"], row["source"], row["weights"], *values, "")


def _write_table(rows: Sequence[dict[str, Any]], out: TextIO) -> None:
    for row in rows:
        if "error" in row:
            out.write(f"{row['error']}\n")
            continue
        weights = f"{row['weights']} weights{': ' * bool(row['note'])}{row['note']}"
        out.write(f"{row['image']}  ({row['source']}, {weights})\n")
        for ranked in row["top"]:
            percentage = probability(ranked.probability, 2)
            out.write(f"  {ranked.rank:4} {percentage:>8}  {ranked.label}\n")
