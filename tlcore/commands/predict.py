"""``predict``: what networks say about images."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any, TextIO

from tlcore.commands.words import (
    Subparsers,
    add_fit,
    add_json,
    add_random_weights,
    add_size,
    size_of,
    write_json,
)
from tlcore.errors import BadConfig, BadImage
from tlcore.networks.answers import NetworkRef, Prediction, Pretrained, Trained
from tlcore.networks.catalogue import DEFAULT
from tlcore.settings import Settings


def add(subparsers: Subparsers) -> None:
    parser = subparsers.add_parser("predict", help=__doc__)
    parser.set_defaults(run=predict)
    parser.add_argument("images", nargs="+", metavar="IMAGE")
    parser.add_argument("--backbone", action="append", metavar="NAME", help=f"({DEFAULT})")
    parser.add_argument("--run", dest="runs", action="append", metavar="ID", help="a trained run")
    parser.add_argument("--top", type=int, default=5, metavar="K", help="classes shown (5)")
    add_size(parser)
    add_fit(parser)
    add_random_weights(parser)
    add_json(parser)


def predict(args: argparse.Namespace, settings: Settings, out: TextIO) -> int:
    from tlcore.images.decode import read
    from tlcore.inference.tasks import network  # loads TensorFlow

    if args.top < 1:
        raise BadConfig(f"Expected --top to be at least 1. Received {args.top}.")
    networks = [(name, network(settings, ref)) for name, ref in _refs(args)]
    answers: list[dict[str, Any]] = []
    for file in args.images:
        try:
            image = read(Path(file), settings.limits)
        except BadImage as error:
            answers.append({"image": file, "error": str(error)})
            continue
        answers += [
            _answer(file, name, loaded.predict(image), args.top) for name, loaded in networks
        ]
    write_json(out, answers) if args.json else _write_table(answers, out)
    return 1 if any("error" in answer for answer in answers) else 0


def _refs(args: argparse.Namespace) -> list[tuple[str, NetworkRef]]:
    names = args.backbone or ([] if args.runs else [DEFAULT])
    chosen: list[tuple[str, NetworkRef]] = [
        (name, Pretrained(name, size_of(args, name), args.fit, args.random_weights))
        for name in names
    ]
    return chosen + [(run, Trained(run)) for run in args.runs or []]


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
            out.write(f"  {row.rank:4} {row.probability:8.2%}  {row.label}\n")
