"""``predict``: what networks say about images."""

from __future__ import annotations

import argparse
import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, TextIO

import numpy as np
from PIL.Image import Image
from PIL.Image import fromarray as from_pixels

from tlcore.cli.options import (
    Subparsers,
    add_fit,
    add_json,
    add_random_weights,
    add_size,
    output_file,
    size_of,
    whole,
    write_json,
)
from tlcore.datasets.geometry import fit
from tlcore.errors import BadConfig, BadImage, UnknownName
from tlcore.models.catalog import DEFAULT
from tlcore.models.predictions import (
    Explanation,
    ModelRef,
    Prediction,
    overlay,
)
from tlcore.percentages import probability
from tlcore.settings import Settings
from tlcore.storage import write_output
from tlcore.text import csv_text, whole_number


def add(subparsers: Subparsers) -> None:
    parser = subparsers.add_parser("predict", help=__doc__)
    parser.set_defaults(run=predict)
    parser.add_argument("images", nargs="+", metavar="IMAGE")
    parser.add_argument("--backbone", action="append", metavar="NAME", help=f"({DEFAULT})")
    parser.add_argument("--run", dest="runs", action="append", metavar="ID", help="a trained run")
    parser.add_argument("--csv", metavar="FILE", type=output_file, help="also write one line an "
                        "answer's rank; ' stands before a text like a formula")  # fmt: skip
    parser.add_argument("--explain", metavar="FILE.png", type=output_file, help="write where each "
                        "network looked (Grad-CAM), side by side, one row an image")  # fmt: skip
    parser.add_argument(
        "--class", dest="wanted", metavar="NAME|INDEX", help="what to explain (the first choice)"
    )
    parser.add_argument("--top", type=whole, default=5, metavar="K", help="classes shown (5)")
    add_size(parser)
    add_fit(parser)
    add_random_weights(parser)
    add_json(parser)


def predict(args: argparse.Namespace, settings: Settings, out: TextIO) -> int:
    from tlcore.datasets.image_io import read
    from tlcore.inference.tasks import load_model

    if args.top < 1:
        raise BadConfig(f"Expected --top to be at least 1. Received {args.top}.")
    if args.wanted and not args.explain:
        raise BadConfig("Expected --explain FILE.png with --class. Received --class alone.")
    networks = [(name, load_model(ref, settings)) for name, ref in _refs(args)]
    answers: list[dict[str, Any]] = []
    looks: list[list[Explanation]] = []
    images: list[Image] = []
    for file in args.images:
        try:
            image = read(Path(file), settings.limits)
        except BadImage as error:
            answers.append({"image": file, "error": str(error)})
            continue
        told = [(name, loaded.predict(image)) for name, loaded in networks]
        answers += [_answer(file, name, answer, args.top) for name, answer in told]
        if args.explain:
            images.append(image)
            looks.append(
                [
                    loaded.explain(image, class_index(answer, args.wanted))
                    for (_, loaded), (_, answer) in zip(networks, told, strict=True)
                ]
            )
    if args.csv:
        write_output(args.csv, csv_text(_csv_rows(answers)).encode(errors="surrogateescape"))
    if looks:
        buffer = io.BytesIO()
        sheet(images, looks).save(buffer, "PNG")
        write_output(args.explain, buffer.getvalue())
    write_json(out, answers) if args.json else _write_table(answers, out)
    return 1 if any("error" in answer for answer in answers) else 0


def class_index(answer: Prediction, wanted: str | None) -> int:
    """Return the index of a class given by name or index; of the first choice where none is.

    Raises:
        UnknownName: no such class.
    """
    if not wanted:
        return answer.ranking(1)[0].index
    number = whole_number(wanted)
    if number is not None and number < len(answer.labels):
        return number
    name = wanted.replace(" ", "_").lower()
    for index, known in enumerate(answer.labels):
        if known.replace(" ", "_").lower() == name:
            return index
    raise UnknownName.of("class", wanted, answer.labels[:SOME])


SOME = 20  # names in a message


def sheet(images: Sequence[Image], looks: Sequence[Sequence[Explanation]]) -> Image:
    """Draw one row an image: its square and beside it each network's map over it."""
    rows = []
    for image, found in zip(images, looks, strict=True):
        squares = [fit(image, SIDE, look.fit) for look in found]
        maps = [
            overlay(pixels, look.heat, OPACITY) for pixels, look in zip(squares, found, strict=True)
        ]
        rows.append(np.hstack([squares[0], *maps]))
    return from_pixels(np.vstack(rows))


SIDE, OPACITY = 448, 0.6


def _csv_rows(answers: Sequence[dict[str, Any]]) -> Iterator[Sequence[Any]]:
    yield ("image", "source", "weights", *RANKED, "error")
    for answer in answers:
        if "error" in answer:
            yield (answer["image"], *[""] * (2 + len(RANKED)), answer["error"])
        for row in answer.get("top", ()):
            about = (answer["image"], answer["source"], answer["weights"])
            yield (*about, *(getattr(row, name) for name in RANKED), "")


RANKED = ("rank", "index", "label", "wnid", "probability", "logit")


def _refs(args: argparse.Namespace) -> list[tuple[str, ModelRef]]:
    names = args.backbone or ([] if args.runs else [DEFAULT])
    chosen: list[tuple[str, ModelRef]] = [
        (name, ModelRef(name, size_of(args, name), args.fit, args.random_weights)) for name in names
    ]
    return chosen + [(run, ModelRef(run=run)) for run in args.runs or []]


def _answer(file: str, name: str, prediction: Prediction, top: int) -> dict[str, Any]:
    return {
        "image": file,
        "source": name,
        "weights": prediction.source,
        "size": prediction.size,
        "fit": prediction.fit,
        "note": prediction.note,
        "top": prediction.ranking(top),
    }


def _write_table(answers: list[dict[str, Any]], out: TextIO) -> None:
    for answer in answers:
        if "error" in answer:
            out.write(f"{answer['error']}\n")
            continue
        weights = f"{answer['weights']} weights{': ' * bool(answer['note'])}{answer['note']}"
        out.write(f"{answer['image']}  ({answer['source']}, {weights})\n")
        for row in answer["top"]:
            out.write(f"  {row.rank:4} {probability(row.probability, 2):>8}  {row.label}\n")
