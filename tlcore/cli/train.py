"""``train``: a run on a folder of class folders, here and now, or one that goes on."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TextIO

from tlcore.cli.options import (
    Subparsers,
    add_backbone,
    add_fit,
    add_json,
    add_random_weights,
    add_size,
    decimal,
    whole,
    write_json,
)
from tlcore.datasets.store import open_dataset
from tlcore.errors import BadConfig
from tlcore.settings import Settings
from tlcore.training.config import OPTIONS, Kind, Option, RunConfig, check_recipe
from tlcore.training.history import STAGES, Epoch, Event, Skipped, Stage
from tlcore.training.lifecycle import create_run, prepare_resume
from tlcore.training.status import FAILED
from tlcore.training.store import load_run
from tlcore.training.worker import execute_run

EPOCH_FIELDS = ("epoch", "stage", "loss", "accuracy", "val_loss", "val_accuracy", "seconds")


def add(subparsers: Subparsers) -> None:
    parser = subparsers.add_parser("train", help=__doc__)
    parser.set_defaults(run=train)
    parser.add_argument("dataset", metavar="FOLDER", nargs="?", default="", help="class folders, "
                        "or train/ and val/; or the name of a stored dataset")  # fmt: skip
    add_backbone(parser)
    add_size(parser)
    add_fit(parser)
    add_random_weights(parser)
    parser.add_argument("--resume", metavar="ID", default="", help="continue a run that was "
                        "stopped or killed, with its own options")  # fmt: skip
    for option in _own_options():
        _add_option(parser, option)
    add_json(parser)


SHARED = ("size", "fit", "random_weights")  # options that other commands have as well


def _own_options() -> list[Option]:
    return [option for option in OPTIONS.values() if option.name not in SHARED]


def _add_option(parser: argparse.ArgumentParser, option: Option) -> None:
    """Add one training option, described as on the Fine-tune page."""
    help_text = option.explanation.replace("%", "%%")
    if option.kind == "bool":
        parser.add_argument(option.flag, action="store_true", help=help_text)
        return
    keywords: dict[str, Any] = {"choices": list(option.choices)}
    if option.kind != "choice":
        keywords = {"type": READERS[option.kind], "metavar": METAVARS[option.kind]}
    parser.add_argument(option.flag, default=option.default, help=help_text, **keywords)


def _names(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


def _counts(text: str) -> tuple[int, ...]:
    return tuple(whole(part) for part in _names(text))


READERS: dict[Kind, Callable[[str], Any]] = {
    "int": whole,
    "float": decimal,
    "text": str,
    "ints": _counts,
    "choices": _names,
}
METAVARS: dict[Kind, str] = {
    "int": "INT",
    "float": "FLOAT",
    "text": "LAYER",
    "ints": "INT[,INT]",
    "choices": "KIND[,KIND]",
}


def train(args: argparse.Namespace, settings: Settings, out: TextIO) -> int:
    if bool(args.resume) == bool(args.dataset):
        raise BadConfig("Expected either FOLDER or --resume ID. Received both or none of them.")
    folder, lock = prepare_resume(args.resume, settings) if args.resume else _create(args, settings)
    try:
        _stop_on_interrupt(folder)
        outcome = execute_run(folder, settings, emit=_tell)
    finally:
        os.close(lock)
    run = load_run(folder.name, settings)
    if outcome.error:
        sys.stderr.write(f"{outcome.error}\n")
    if args.json:
        write_json(
            out,
            {
                "run": folder.name,
                "status": outcome.status,
                "history": [epoch_row(epoch) for epoch in run.history],
                "val_accuracy": outcome.val_accuracy,
                "best_epoch": outcome.best_epoch,
                "seconds": outcome.seconds,
                "error": outcome.error,
            },
        )
    else:
        out.write(f"{folder.name} {outcome.status} {folder}\n")
    return 1 if outcome.status == FAILED else 0


def _create(args: argparse.Namespace, settings: Settings) -> tuple[Path, int]:
    """Make the run asked for; none where it could not be trained."""
    config = _config(args)
    check_recipe(config, open_dataset(config.dataset, settings))
    return create_run(config, settings)


def epoch_row(epoch: Epoch) -> dict[str, float | str]:
    """Return an epoch as it is written for a script."""
    return {name: getattr(epoch, name) for name in EPOCH_FIELDS}


def _config(args: argparse.Namespace) -> RunConfig:
    folder = Path(args.dataset)
    return RunConfig(
        dataset=str(folder.resolve()) if folder.is_dir() else args.dataset,
        backbone=args.backbone,
        size=args.size or 0,
        fit=args.fit,
        random_weights=args.random_weights,
        **{option.name: getattr(args, option.name) for option in _own_options()},
    )


def _stop_on_interrupt(folder: Path) -> None:
    """The first Ctrl-C stops the run and keeps what it has; the second ends the process."""

    def stop(*_: object) -> None:
        (folder / "stop").touch()
        signal.signal(signal.SIGINT, signal.default_int_handler)
        sys.stderr.write("Stopping after this batch. Press Ctrl-C again to end at once.\n")

    signal.signal(signal.SIGINT, stop)


def _tell(event: Event) -> None:
    if isinstance(event, Stage):
        sys.stderr.write(f"{STAGES[event.stage]} …\n")
    elif isinstance(event, Skipped):
        sys.stderr.write(f"skipped {event.file}: {event.reason}\n")
    elif isinstance(event, Epoch):
        sys.stderr.write(
            f"epoch {event.epoch:3}  loss {event.loss:.4f}  accuracy {event.accuracy:.4f}  "
            f"val_loss {event.val_loss:.4f}  val_accuracy {event.val_accuracy:.4f}  "
            f"{event.seconds:.1f} s\n"
        )
