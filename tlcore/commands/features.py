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
from tlcore.networks.answers import NetworkRef, Pretrained, Trained
from tlcore.networks.grid import Layout, draw, save_png
from tlcore.settings import Settings


def add(subparsers: Subparsers) -> None:
    parser = subparsers.add_parser("features", help=__doc__)
    parser.set_defaults(run=features)
    parser.add_argument("image", metavar="IMAGE", type=Path)
    parser.add_argument("--layer", required=True, metavar="NAME", help="with a spatial output")
    parser.add_argument("--run", dest="run_id", metavar="ID", help="a trained run's network")
    parser.add_argument("--npz", metavar="FILE", help="write maps, float32 (height, width, c)")
    parser.add_argument("--png", metavar="FILE", help="write the first 4 × 8 maps as a picture")
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
    layout = Layout()
    if args.npz:
        np.savez_compressed(args.npz, maps=found.maps)
    if args.png:
        save_png(draw(found.maps[:, :, : layout.tiles], layout), args.png)
    answer = {
        "image": str(args.image),
        "layer": found.layer,
        "shape": found.maps.shape,
        "min": float(found.maps.min()),
        "max": float(found.maps.max()),
        "weights": found.source,
        "note": found.note,
    }
    if args.json:
        write_json(out, answer)
    else:
        out.writelines(f"{key:8} {value}\n" for key, value in answer.items() if value != "")
    return 0


def _ref(args: argparse.Namespace) -> NetworkRef:
    if args.run_id:
        return Trained(args.run_id)
    size = size_of(args, args.backbone)
    return Pretrained(args.backbone, size, args.fit, args.random_weights, top=False)
