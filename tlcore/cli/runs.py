"""``runs``: list, show, compare and stop training runs; evaluate and export one."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterable, Sequence
from typing import Any, TextIO

from tlcore.cli import export
from tlcore.cli.options import Subparsers, add_options, write_json
from tlcore.cli.train import epoch_row
from tlcore.errors import TLCoreError
from tlcore.evaluation.comparison import compare_runs
from tlcore.evaluation.corrections import current_labels
from tlcore.evaluation.split_predictions import common_split, predict_split
from tlcore.percentages import percent
from tlcore.settings import Settings
from tlcore.text import csv_text
from tlcore.training.lifecycle import stop_run
from tlcore.training.run import RunInfo
from tlcore.training.status import DAMAGED, Damage, DamagedRun
from tlcore.training.store import (
    compare_configurations,
    load_run,
    load_run_info,
    scan_runs,
)

FIELDS = ("id", "status", "folder", "config", "created", "seconds", "val_accuracy", "val_loss",
          "epochs", "best_epoch", "data_hash", "notes", "error", "damage")  # fmt: skip


def add(subparsers: Subparsers) -> None:
    """Add the commands."""
    parser = subparsers.add_parser("runs", help=__doc__)
    parser.set_defaults(run=list_runs)
    add_options(parser, "json")
    actions = parser.add_subparsers(metavar="list|show|compare|stop|evaluate|report|export|script")
    for name, function, text in (
        ("list", list_runs, "all runs, newest first"),
        ("show", show, "one run with its history"),
        ("stop", stop, "stop a run; what it has learned is kept"),
        ("compare", compare, "options that differ, and which run is better"),
    ):
        action = actions.add_parser(name, help=text)
        action.set_defaults(run=function)
        if name in ("show", "stop"):
            action.add_argument("id", metavar="ID")
        if name == "compare":
            action.add_argument("ids", metavar="ID", nargs="+")
            action.add_argument("--csv", action="store_true", help="comma-separated values")
        add_options(action, "json")
    export.add(actions)


def list_runs(args: argparse.Namespace, settings: Settings, out: TextIO) -> int:
    """Print all runs; damaged ones with the name of the damaged file."""
    runs = scan_runs(settings)
    if args.json:
        write_json(out, [_json_row(run) for run in runs])
        return 0
    for run in runs:
        out.write(_line(run))
        _warn(run.id, [run.damage] if isinstance(run, DamagedRun) else run.damage)
    return 0


def show(args: argparse.Namespace, settings: Settings, out: TextIO) -> int:
    """Print one run with its history."""
    run = load_run(args.id, settings)
    if not args.json:
        out.write(_line(run.info))
        _warn(run.info.id, run.damage)
        for epoch in run.history:
            row = epoch_row(epoch)
            out.write("  ".join(f"{name} {_short(value)}" for name, value in row.items()) + "\n")
        return 0
    row = _json_row(run.info) | {
        "history": [epoch_row(epoch) for epoch in run.history],
        "classes": run.classes,
        "images": run.info.images,
        "skipped": [{"file": event.file, "reason": event.reason} for event in run.skipped],
        "damage": [damage.description for damage in run.damage],
    }
    write_json(out, row)
    return 0


def stop(args: argparse.Namespace, settings: Settings, out: TextIO) -> int:
    """Ask a run to stop."""
    stop_run(args.id, settings)
    info = load_run_info(args.id, settings)
    write_json(out, _json_row(info)) if args.json else out.write(f"{info.id} {info.status}\n")
    return 0


def compare(args: argparse.Namespace, settings: Settings, out: TextIO) -> int:
    """Print the options and figures that differ, and the verdict on each run beside the first."""
    table = compare_configurations([load_run(run, settings) for run in args.ids])
    rows = [["", *args.ids], *([name, *values] for name, values in table.items())]
    if args.csv:
        out.write(csv_text(rows))
        return 0
    pairs = [sorted((args.ids[0], other)) for other in args.ids[1:]]  # the earlier run first
    verdicts = [_compare_pair(earlier, later, settings) for earlier, later in pairs]
    if args.json:
        write_json(out, {"runs": args.ids, "differences": table, "verdicts": verdicts})
        return 0
    _write_columns(rows, out)
    for each in verdicts:
        sentence = each.get("sentence") or each["error"]
        out.write(f"\n{each['first']} → {each['second']}: {sentence}\n")
    return 0


def _compare_pair(earlier: str, later: str, settings: Settings) -> dict[str, Any]:
    """Return the comparison of two runs on the same images, or the reason why there is none."""

    pair = {"first": earlier, "second": later}
    try:
        split = common_split([earlier, later], settings)
        first, second = (predict_split(run, split, settings) for run in (earlier, later))
        labels = current_labels(load_run_info(later, settings), settings)
        result = compare_runs(first, second, labels)
    except TLCoreError as error:
        return pair | {"error": str(error)}
    return pair | {
        "split": split,
        "images": result.images,
        "left_out": result.left_out,
        "relabelled": result.relabelled,
        "difference": result.difference,
        "sentence": result.sentence(earlier, later),
        "gained": [each.sample.file for each in result.gained],
        "lost": [each.sample.file for each in result.lost],
    }


def _write_columns(rows: Sequence[Sequence[Any]], out: TextIO) -> None:
    widths = [max(len(_short(row[column])) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        cells = (_short(cell).ljust(width) for cell, width in zip(row, widths, strict=True))
        out.write("  ".join(cells).rstrip() + "\n")


def _warn(run: str, damage: Iterable[Damage]) -> None:
    sys.stderr.writelines(f"{run}: {each.description}\n" for each in damage)


def _json_row(info: RunInfo | DamagedRun) -> dict[str, Any]:
    """Return the fields of a run; those of a run that cannot be read are null."""
    if isinstance(info, DamagedRun):
        row = {"id": info.id, "status": DAMAGED, "folder": info.folder, "created": info.created}
        return dict.fromkeys(FIELDS) | row | {"damage": [info.damage.description]}
    row = {name: getattr(info, name) for name in FIELDS}
    return row | {"damage": [each.description for each in info.damage]}


def _line(info: RunInfo | DamagedRun) -> str:
    created = time.strftime("%Y-%m-%d %H:%M", time.localtime(info.created))
    if isinstance(info, DamagedRun):
        return f"{info.id}  {created}  {DAMAGED}\n"
    accuracy = "" if info.val_accuracy is None else percent(info.val_accuracy, 1)
    return f"{info.id}  {created}  {info.status:9} {info.config.backbone:18} {accuracy:>7}\n"


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else "" if value is None else str(value)
