"""What is handed over of a run: ``runs export ID FILE.zip``, ``runs script ID FILE.py``,
``runs report ID FILE.html``.
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
from collections.abc import Callable
from typing import Any, TextIO

from tlcore.cli.options import Subparsers, add_json, output_file, write_json
from tlcore.export.script import write_script
from tlcore.jobs import JobReport
from tlcore.settings import Settings
from tlcore.training.store import load_run_info


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
    def make(tell: Callable[[int, int, str], None]) -> Any:
        load_run_info(args.id, settings)  # first: a wrong id is refused before TensorFlow is loaded
        from tlcore.export.bundle import write_bundle

        return write_bundle(args.id, args.file, settings, tell)

    checks = _told(args, make)
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
    def make(tell: Callable[[int, int, str], None]) -> None:
        load_run_info(args.id, settings)
        from tlcore.inference.tasks import write_run_report  # loads TensorFlow

        write_run_report(args.id, args.file, settings, tell)

    _told(args, make)
    write_json(out, {"file": args.file}) if args.json else out.write(f"{args.file}\n")
    return 0


def _told(args: argparse.Namespace, make: Callable[[Callable[[int, int, str], None]], Any]) -> Any:
    """Make something and report its progress on standard error and in the progress file."""
    with JobReport(args.progress_file) as report:

        def tell(done: int, steps: int, words: str) -> None:
            sys.stderr.write(f"{done}/{steps} {words} …\n")
            report(done, steps, words)

        return make(tell)
