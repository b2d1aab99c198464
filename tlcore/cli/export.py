"""What is handed over of a run: ``runs export ID FILE.zip``, ``runs script ID FILE.py``,
``runs report ID FILE.html``.
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TextIO

from tlcore.cli.options import Subparsers, add_json, output_file, write_json
from tlcore.errors import TLCoreError
from tlcore.export.progress import DONE, FAILED, RUNNING, Making, write_making
from tlcore.export.script import write_script
from tlcore.settings import Settings
from tlcore.training.store import run_info


def add(actions: Subparsers) -> None:
    for name, function, file, words in (
        ("export", export, "FILE.zip", "the network in four formats, each compared with the page"),
        ("script", script, "FILE.py", "the run as one plain Keras script, or a notebook (.ipynb)"),
        ("report", report, "FILE.html", "all about it in one file, to read, send and print"),
    ):
        action = actions.add_parser(name, help=words)
        action.set_defaults(run=function)
        action.add_argument("id", metavar="ID")
        action.add_argument("file", metavar=file, type=output_file)
        action.add_argument(
            "--progress-file", type=output_file, help="JSON, replaced as it goes on"
        )
        add_json(action)


def export(args: argparse.Namespace, settings: Settings, out: TextIO) -> int:
    run_info(args.id, settings)  # first: a wrong id is known at once
    from tlcore.export.bundle import write_bundle  # loads TensorFlow

    checks = _told(args, lambda tell: write_bundle(args.id, args.file, settings, tell))
    if args.json:
        rows = [dataclasses.asdict(each) | {"offered": each.offered} for each in checks]
        write_json(out, {"file": args.file, "formats": rows})
        return 0
    for each in checks:
        out.write(f"{each.format:12} ")
        if each.greatest is not None:
            out.write(
                f"{each.bytes / 2**20:6.1f} MB, greatest difference {each.greatest:.1e}, "
                f"same class {each.agreed} of {each.images}. "
            )
        out.write(f"{each.fault or 'in the bundle'}\n")
        if each.offered and each.differs:
            out.write(f"{'':12} {each.words}\n")
    return 0


def script(args: argparse.Namespace, settings: Settings, out: TextIO) -> int:
    _told(args, lambda tell: write_script(args.id, args.file, settings))
    write_json(out, {"file": args.file}) if args.json else out.write(f"{args.file}\n")
    return 0


def report(args: argparse.Namespace, settings: Settings, out: TextIO) -> int:
    run_info(args.id, settings)
    from tlcore.inference.tasks import write_run_report  # loads TensorFlow

    _told(args, lambda tell: write_run_report(args.id, args.file, settings, tell))
    write_json(out, {"file": args.file}) if args.json else out.write(f"{args.file}\n")
    return 0


def _told(args: argparse.Namespace, make: Callable[[Callable[[int, int, str], None]], Any]) -> Any:
    """Make something and say how far it is: on standard error, and in a file if one is named."""

    def write(making: Making) -> None:
        with suppress(OSError):  # on a full disk the file matters, not how far it is
            if args.progress_file:
                write_making(args.progress_file, making)

    def tell(done: int, steps: int, words: str) -> None:
        sys.stderr.write(f"{done}/{steps} {words} …\n")
        write(Making(RUNNING, done, steps, words))

    try:
        made = make(tell)
    except TLCoreError as error:
        write(Making(FAILED, words=str(error)))
        raise
    write(Making(DONE, 1, 1))
    return made
