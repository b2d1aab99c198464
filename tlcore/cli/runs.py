"""``runs``: the training runs so far; ``runs show ID``, ``runs stop ID``,
``runs compare ID…``, ``runs evaluate ID``, and what to hand over: ``runs report ID FILE.html``,
``runs export ID FILE.zip``, ``runs script ID FILE.py``."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterable, Sequence
from typing import Any, TextIO

from tlcore.cli import evaluate
from tlcore.cli import export as hand_over
from tlcore.cli.options import Subparsers, add_json, write_json
from tlcore.cli.train import epoch_row
from tlcore.errors import TLCoreError
from tlcore.evaluation.comparison import compare_runs
from tlcore.evaluation.corrections import current_labels
from tlcore.evaluation.predictions import common_split, load_predictor, predict_split
from tlcore.percentages import percent
from tlcore.settings import Settings
from tlcore.text import csv_text
from tlcore.training.lifecycle import stop_run
from tlcore.training.records import Damage, DamagedRun
from tlcore.training.run import RunInfo
from tlcore.training.status import DAMAGED
from tlcore.training.store import (
    compare_configurations,
    load_run,
    load_run_info,
    scan_runs,
    sort_newest_first,
)

# of a run as JSON; those of a run whose settings cannot be read are null
FIELDS = ("id", "status", "folder", "config", "created", "seconds", "val_accuracy", "val_loss",
          "epochs", "best_epoch", "data_hash", "notes", "error", "damage")  # fmt: skip


def add(subparsers: Subparsers) -> None:
    parser = subparsers.add_parser("runs", help=__doc__)
    parser.set_defaults(run=list_all)
    add_json(parser)
    actions = parser.add_subparsers(metavar="show|stop|compare|evaluate|report|export|script")
    several = actions.add_parser("compare", help="what differs between runs")
    several.set_defaults(run=compare)
    several.add_argument("ids", metavar="ID", nargs="+")
    several.add_argument("--csv", action="store_true", help="comma-separated values")
    add_json(several)
    evaluate.add(actions)
    hand_over.add(actions)
    for name, function in (("show", show), ("stop", stop)):
        action = actions.add_parser(name)
        action.set_defaults(run=function)
        action.add_argument("id", metavar="ID")
        add_json(action)


def list_all(args: argparse.Namespace, settings: Settings, out: TextIO) -> int:
    runs = sort_newest_first(*scan_runs(settings))
    if args.json:
        write_json(out, [_row(run) for run in runs])
        return 0
    for run in runs:
        out.write(_line(run))
        _warn(run.id, [run.damage] if isinstance(run, DamagedRun) else run.damage)
    return 0


def show(args: argparse.Namespace, settings: Settings, out: TextIO) -> int:
    run = load_run(args.id, settings)
    if not args.json:
        out.write(_line(run.info))
        _warn(run.info.id, run.damage)
        for epoch in run.history:
            row = epoch_row(epoch)
            out.write("  ".join(f"{name} {_short(value)}" for name, value in row.items()) + "\n")
        return 0
    row = _row(run.info) | {
        "history": [epoch_row(epoch) for epoch in run.history],
        "classes": run.classes,
        "pictures": run.images,
        "skipped": [{"file": event.file, "reason": event.reason} for event in run.skipped],
        "damage": _words(run.damage),
    }
    write_json(out, row)
    return 0


def compare(args: argparse.Namespace, settings: Settings, out: TextIO) -> int:
    """Print what differs between runs: settings and figures, a row each, a column a run.

    Then the verdict on each beside the first, by the images that judged both.
    """
    table = compare_configurations([load_run(run, settings) for run in args.ids])
    if args.json:
        verdicts = [_verdict(*pair, settings) for pair in _pairs(args.ids)]
        write_json(out, {"runs": args.ids, "differences": table, "verdicts": verdicts})
        return 0
    rows = [["", *args.ids], *([name, *values] for name, values in table.items())]
    if args.csv:
        out.write(csv_text(rows))
        return 0
    widths = [max(len(_short(row[place])) for row in rows) for place in range(len(rows[0]))]
    for row in rows:
        cells = (_short(cell).ljust(width) for cell, width in zip(row, widths, strict=True))
        out.write("  ".join(cells).rstrip() + "\n")
    for earlier, later in _pairs(args.ids):
        verdict = _verdict(earlier, later, settings)
        out.write(f"\n{earlier} → {later}: {verdict.get('sentence') or verdict['error']}\n")
    return 0


def _pairs(runs: Sequence[str]) -> list[tuple[str, str]]:
    """Return each other run with the first, the earlier one first."""
    return [(min(runs[0], other), max(runs[0], other)) for other in runs[1:]]


def _verdict(earlier: str, later: str, settings: Settings) -> dict[str, Any]:
    """Return what the same images say of two runs, or why they say nothing."""
    pair = {"first": earlier, "second": later}
    try:
        part = common_split([earlier, later], settings)
        first, second = (
            predict_split(run, part, settings, load_predictor(run, settings))
            for run in (earlier, later)
        )
        result = compare_runs(
            first, second, current_labels(load_run_info(later, settings), settings)
        )
    except TLCoreError as error:
        return pair | {"error": str(error)}
    return pair | {
        "part": result.split,
        "pictures": result.images,
        "left_out": result.left_out,
        "relabelled": result.relabelled,
        "difference": result.difference,
        "sentence": result.sentence,
        "gained": [side.sample.file for side in result.gained],
        "lost": [side.sample.file for side in result.lost],
    }


def stop(args: argparse.Namespace, settings: Settings, out: TextIO) -> int:
    stop_run(args.id, settings)
    info = load_run_info(args.id, settings)
    if args.json:
        write_json(out, _row(info))
    else:
        out.write(f"{info.id} {info.status}\n")
    return 0


def _warn(run: str, damage: Iterable[Damage]) -> None:
    sys.stderr.writelines(f"{run}: {words}\n" for words in _words(damage))


def _words(damage: Iterable[Damage]) -> list[str]:
    return [each.words for each in damage]


def _row(info: RunInfo | DamagedRun) -> dict[str, Any]:
    if isinstance(info, DamagedRun):
        row = {"id": info.id, "status": DAMAGED, "folder": info.folder, "created": info.created}
        return dict.fromkeys(FIELDS) | row | {"damage": _words([info.damage])}
    return {name: getattr(info, name) for name in FIELDS} | {"damage": _words(info.damage)}


def _line(info: RunInfo | DamagedRun) -> str:
    when = time.strftime("%Y-%m-%d %H:%M", time.localtime(info.created))
    if isinstance(info, DamagedRun):
        return f"{info.id}  {when}  {DAMAGED}\n"
    accuracy = "" if info.val_accuracy is None else percent(info.val_accuracy, 1)
    return f"{info.id}  {when}  {info.status:9} {info.config.backbone:18} {accuracy:>7}\n"


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else "" if value is None else str(value)
