"""``train``: train a run in this process, or resume one."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

from tlcore.cli.options import Subparsers, add_options, parse_integer, parse_number, write_json
from tlcore.datasets.store import open_dataset
from tlcore.errors import BadConfig
from tlcore.settings import Settings
from tlcore.training.config import OPTIONS, Kind, Option, RunConfig, check_recipe
from tlcore.training.history import STAGES, Epoch, Event, Skipped, Stage
from tlcore.training.lifecycle import create_run, prepare_resume
from tlcore.training.status import FAILED
from tlcore.training.store import load_run
from tlcore.training.worker import execute_run

SHARED = ("size", "fit", "random_weights")  # options of several commands
EPOCH_FIELDS = ("epoch", "stage", "loss", "accuracy", "val_loss", "val_accuracy", "seconds")


def add(subparsers: Subparsers) -> None:
    """Add the command; its options are the table of ``training.config``."""
    parser = subparsers.add_parser("train", help=__doc__)
    parser.set_defaults(run=train)
    parser.add_argument("dataset", metavar="FOLDER", nargs="?", default="", help="class folders, "
                        "or train/ and val/; or the name of a stored dataset")  # fmt: skip
    parser.add_argument("--resume", metavar="ID", default="", help="continue a run that was "
                        "stopped or killed, with its own options")  # fmt: skip
    add_options(parser, "backbone", "size", "fit", "random-weights")
    for option in _own_options():
        _add_option(parser, option)
    add_options(parser, "json")


def _own_options() -> list[Option]:
    """Return the options that no other command has."""
    return [option for option in OPTIONS.values() if option.name not in SHARED]


def _add_option(parser: argparse.ArgumentParser, option: Option) -> None:
    text = option.explanation.replace("%", "%%")
    if option.kind == "bool":
        parser.add_argument(option.flag, action="store_true", help=text)
        return
    keywords: dict[str, Any] = {"choices": list(option.choices)}
    if option.kind != "choice":
        read, metavar = READERS[option.kind]
        keywords = {"type": read, "metavar": metavar}
    parser.add_argument(option.flag, default=option.default, help=text, **keywords)


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(parse_integer(number) for number in _names(text))


READERS: dict[Kind, tuple[Callable[[str], Any], str]] = {
    "int": (parse_integer, "INT"),
    "float": (parse_number, "FLOAT"),
    "text": (str, "LAYER"),
    "ints": (_numbers, "INT[,INT]"),
    "choices": (_names, "KIND[,KIND]"),
}


def train(args: argparse.Namespace, settings: Settings, out: TextIO) -> int:
    """Train until the run finishes, fails or is stopped by Ctrl-C."""
    if bool(args.resume) == bool(args.dataset):
        raise BadConfig("Expected either FOLDER or --resume ID. Received both or none of them.")
    folder, lock = prepare_resume(args.resume, settings) if args.resume else _create(args, settings)
    try:
        with _stop_on_interrupt(folder):
            result = execute_run(folder, settings, emit=_print_event)
    finally:
        os.close(lock)
    if result.error:
        sys.stderr.write(f"{result.error}\n")
    if args.json:
        row = {
            "run": folder.name,
            "status": result.status,
            "history": [epoch_row(epoch) for epoch in load_run(folder.name, settings).history],
            "val_accuracy": result.val_accuracy,
            "best_epoch": result.best_epoch,
            "seconds": result.seconds,
            "error": result.error,
        }
        write_json(out, row)
    else:
        out.write(f"{folder.name} {result.status} {folder}\n")
    return 1 if result.status == FAILED else 0


def epoch_row(epoch: Epoch) -> dict[str, float | str]:
    """Return the fields of an epoch, for JSON and tables."""
    return {name: getattr(epoch, name) for name in EPOCH_FIELDS}


def _create(args: argparse.Namespace, settings: Settings) -> tuple[Path, int]:
    """Create the run, or raise before there is one if it could not be trained."""
    folder = Path(args.dataset)
    config = RunConfig(
        dataset=str(folder.resolve()) if folder.is_dir() else args.dataset,
        backbone=args.backbone,
        size=args.size or 0,
        fit=args.fit,
        random_weights=args.random_weights,
        **{option.name: getattr(args, option.name) for option in _own_options()},
    )
    check_recipe(config, open_dataset(config.dataset, settings))
    return create_run(config, settings)


@contextmanager
def _stop_on_interrupt(folder: Path) -> Iterator[None]:
    """Let the first Ctrl-C stop the run and keep what it has; the second ends the process."""

    def stop(*_: object) -> None:
        (folder / "stop").touch()
        signal.signal(signal.SIGINT, signal.default_int_handler)
        sys.stderr.write("Stopping after this batch. Press Ctrl-C again to end at once.\n")

    before = signal.signal(signal.SIGINT, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _print_event(event: Event) -> None:
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
