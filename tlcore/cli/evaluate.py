"""``runs evaluate``: the honest numbers of a run, as a table or as JSON."""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Iterator
from typing import TextIO

from tlcore.cli.options import Subparsers, add_json, write_json
from tlcore.datasets.dataset import SPLIT_NAMES
from tlcore.evaluation.corrections import count_corrections
from tlcore.evaluation.evaluation import Evaluation, unlabelled_note
from tlcore.evaluation.evaluation import evaluate as evaluate_run
from tlcore.evaluation.intervals import Proportion
from tlcore.percentages import points
from tlcore.settings import Settings
from tlcore.training.store import load_run_info

UNKNOWN = "not known"


def add(subparsers: Subparsers) -> None:
    parser = subparsers.add_parser("evaluate", help="how good a run is, on which images")
    parser.set_defaults(run=evaluate)
    parser.add_argument("id", metavar="ID")
    parser.add_argument(
        "--split", choices=["test", "val"], default="", help="test if there is one, else val"
    )
    add_json(parser)


def evaluate(args: argparse.Namespace, settings: Settings, out: TextIO) -> int:
    found = evaluate_run(args.id, args.split, settings)
    corrections = count_corrections(load_run_info(args.id, settings), found.split, settings)
    if args.json:
        row = dataclasses.asdict(corrections) | {"sentences": corrections.sentences}
        write_json(out, dataclasses.asdict(found) | {"corrections": row})
    else:
        out.writelines(f"{line}\n" for line in _lines(found))
        out.writelines(f"! {words}\n" for words in corrections.sentences)
    return 0


def _lines(found: Evaluation) -> Iterator[str]:
    yield f"{found.run}, evaluated on its {SPLIT_NAMES[found.split]} split"
    rows = {
        "accuracy": found.accuracy.text,
        "balanced accuracy": found.balanced_accuracy.text,
        "macro F1": f"{found.macro_f1:.3f}",
        "log loss": f"{found.log_loss:.3f}",
        "calibration error": f"{points(found.calibration.error)}: {found.calibration.advice}",
        f"always “{found.majority_baseline.label}”": found.majority_baseline.accuracy.text,
        "ImageNet alone": _share(found.imagenet_accuracy),
    }
    if found.imagenet_unlabelled:
        rows["ImageNet alone"] += f"; {unlabelled_note(found.imagenet_unlabelled)}"
    if found.binary:
        rows["area under ROC"] = f"{found.binary.roc_auc:.3f}"
        rows["average precision"] = f"{found.binary.average_precision:.3f}"
    width = max(map(len, rows))
    yield from (f"{name:{width}}  {value}" for name, value in rows.items())
    yield ""
    yield found.majority_baseline.difference.sentence(
        f"always saying “{found.majority_baseline.label}”"
    )
    if found.imagenet_difference:
        yield found.imagenet_difference.sentence("ImageNet alone")
    yield ""
    yield from _table(found)
    yield from (f"! {words}" for words in found.warnings)


def _table(found: Evaluation) -> Iterator[str]:
    width = max(5, *(len(each.label) for each in found.per_class))
    yield f"{'class':{width}}  {'precision':28}  {'recall':28}  said as"
    for each, row in zip(found.per_class, found.confusion_matrix, strict=True):
        said = ", ".join(
            f"{number} {name}" for name, number in zip(found.classes, row, strict=True) if number
        )
        shares = f"{_share(each.precision):28}  {_share(each.recall):28}"
        yield f"{each.label:{width}}  {shares}  {said}"


def _share(share: Proportion | None) -> str:
    return UNKNOWN if share is None else share.text
