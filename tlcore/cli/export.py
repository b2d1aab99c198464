"""``runs evaluate | report | export | script``: evaluate a run and export it."""

from __future__ import annotations

import argparse
import dataclasses
import os
import sys
from collections.abc import Callable, Iterator
from typing import Any, TextIO

from tlcore.cli.options import Subparsers, add_options, parse_output, write_json
from tlcore.datasets.dataset import SPLIT_NAMES
from tlcore.evaluation.corrections import count_corrections
from tlcore.evaluation.evaluation import Evaluation, list_verdicts, unlabelled_note
from tlcore.evaluation.evaluation import evaluate as evaluate_run
from tlcore.evaluation.intervals import Proportion
from tlcore.evaluation.label_issues import find_label_issues
from tlcore.exports import EXPORT_FORMATS
from tlcore.exports import export as export_run
from tlcore.exports.bundle_check import read_checks
from tlcore.jobs import Progress, report_job
from tlcore.percentages import points
from tlcore.settings import Settings
from tlcore.training.store import load_run_info

LAST = 9  # added to the niceness of a run: what nobody has asked for yet comes after the next run


def add(actions: Subparsers) -> None:
    """Add the actions to those of ``runs``."""
    judge = actions.add_parser("evaluate", help="metrics, baselines and warnings of a run")
    judge.set_defaults(run=evaluate)
    judge.add_argument("id", metavar="ID")
    judge.add_argument("--split", choices=["test", "val"], default="", help="(test where there is "
                       "one, else val)")  # fmt: skip
    add_options(judge, "progress-file", "json")
    suffixes = ", ".join(f"{row.suffix} {row.title.lower()}" for row in EXPORT_FORMATS.values())
    for name, file, text in (
        ("export", "FILE", f"a file by its suffix: {suffixes}"),
        ("report", "FILE.html", "one HTML file to read, send and print"),
        ("script", "FILE.py", "the run as one Keras script, or a notebook (.ipynb)"),
    ):
        action = actions.add_parser(name, help=text)
        action.set_defaults(run=export)
        action.add_argument("id", metavar="ID")
        action.add_argument("file", metavar=file, type=parse_output)
        add_options(action, "progress-file", "json")


def evaluate(args: argparse.Namespace, settings: Settings, out: TextIO) -> int:
    """Print the evaluation of a run on images that it was not trained on."""
    with report_job(args.progress_file):
        evaluation = evaluate_run(args.id, args.split, settings)
        if args.progress_file:  # behind a run: whoever opens them next does not wait
            os.nice(LAST)
            find_label_issues(args.id, settings)
    corrections = count_corrections(load_run_info(args.id, settings), evaluation.split, settings)
    if args.json:
        row = dataclasses.asdict(corrections) | {"sentences": corrections.sentences}
        write_json(out, dataclasses.asdict(evaluation) | {"corrections": row})
    else:
        out.writelines(f"{line}\n" for line in _lines(evaluation))
        out.writelines(f"! {sentence}\n" for sentence in corrections.sentences)
    return 0


def export(args: argparse.Namespace, settings: Settings, out: TextIO) -> int:
    """Write a run to a file by its suffix; of a bundle, print how each format was checked."""
    _report_progress(args, lambda progress: export_run(args.id, args.file, settings, progress))
    checks = read_checks(args.file) if args.file.suffix == ".zip" else []
    if args.json:
        rows = [dataclasses.asdict(check) | {"included": check.included} for check in checks]
        write_json(out, {"file": args.file} | ({"formats": rows} if rows else {}))
        return 0
    out.write(f"{args.file}\n")
    for check in checks:
        out.write(f"{check.format:12} ")
        if check.max_difference is not None:
            out.write(
                f"{check.bytes / 2**20:6.1f} MB, greatest difference {check.max_difference:.1e}, "
                f"same class {check.same_class} of {check.images}. "
            )
        out.write(f"{check.error or 'in the bundle'}\n")
        if check.included and check.differs:
            out.write(f"{'':12} {check.text}\n")
    return 0


def _report_progress(args: argparse.Namespace, write: Callable[[Progress], Any]) -> Any:
    """Write a file and report the progress on standard error and in the progress file."""
    with report_job(args.progress_file) as job:

        def progress(done: int, steps: int | None, message: str) -> None:
            sys.stderr.write(f"{done}/{steps} {message} …\n")
            job(done, steps, message)

        return write(progress)


def _lines(evaluation: Evaluation) -> Iterator[str]:
    yield f"{evaluation.run}, evaluated on its {SPLIT_NAMES[evaluation.split]} split"
    majority = evaluation.majority_baseline
    calibration = evaluation.calibration
    rows = {
        "accuracy": evaluation.accuracy.text,
        "balanced accuracy": evaluation.balanced_accuracy.text,
        "macro F1": f"{evaluation.macro_f1:.3f}",
        "log loss": f"{evaluation.log_loss:.3f}",
        "calibration error": f"{points(calibration.error)}: {calibration.advice}",
        f"always “{majority.label}”": majority.accuracy.text,
        "ImageNet alone": _text(evaluation.imagenet_accuracy),
    }
    if evaluation.imagenet_unlabelled:
        rows["ImageNet alone"] += f"; {unlabelled_note(evaluation.imagenet_unlabelled)}"
    if evaluation.binary:
        rows["area under ROC"] = f"{evaluation.binary.roc_auc:.3f}"
        rows["average precision"] = f"{evaluation.binary.average_precision:.3f}"
    width = max(map(len, rows))
    yield from (f"{name:{width}}  {value}" for name, value in rows.items())
    yield ""
    yield from list_verdicts(evaluation)
    yield ""
    yield from _class_table(evaluation)
    yield from (f"! {warning}" for warning in evaluation.warnings)


def _class_table(evaluation: Evaluation) -> Iterator[str]:
    width = max(5, *(len(each.label) for each in evaluation.per_class))
    yield f"{'class':{width}}  {'precision':28}  {'recall':28}  predicted as"
    for each, row in zip(evaluation.per_class, evaluation.confusion_matrix, strict=True):
        named = zip(evaluation.classes, row, strict=True)
        predicted = ", ".join(f"{number} {name}" for name, number in named if number)
        metrics = f"{_text(each.precision):28}  {_text(each.recall):28}"
        yield f"{each.label:{width}}  {metrics}  {predicted}"


def _text(proportion: Proportion | None) -> str:
    return "not defined" if proportion is None else proportion.text
