"""``dataset``: import, check, list, show, split and export datasets; undo edits."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TextIO

from tlcore.cli.options import (
    Subparsers,
    add_options,
    parse_integer,
    parse_number,
    parse_output,
    write_json,
)
from tlcore.datasets.archive import incoming_from_archive
from tlcore.datasets.dataset import UNLABELLED, Incoming
from tlcore.datasets.edits import undo_edit
from tlcore.datasets.export import export_dataset
from tlcore.datasets.importing import add_to_dataset, import_dataset
from tlcore.datasets.layout import LayoutChoices
from tlcore.datasets.quality import KINDS, Finding, QualityReport
from tlcore.datasets.quality_scan import scan_folder, scan_quality
from tlcore.datasets.sources import incoming_from_folder
from tlcore.datasets.splits import SplitPlan, split_dataset
from tlcore.datasets.store import DatasetState, dataset_names, load_state, scan_datasets
from tlcore.errors import BadDataset
from tlcore.settings import Settings

PROGRESS_STEP = 250  # files between two lines of progress
FIELDS = ("name", "folder", "created", "image_count", "excluded", "classes", "unlabelled",
          "splits", "hash")  # fmt: skip

Command = Callable[[argparse.Namespace, Settings, TextIO], int]


def add(subparsers: Subparsers) -> None:
    """Add the commands."""
    parser = subparsers.add_parser("dataset", help=__doc__)
    actions = parser.add_subparsers(required=True, metavar="import|doctor|list|show|split|undo|…")

    def action(name: str, run: Command, text: str, *, named: bool = True) -> Any:
        added = actions.add_parser(name, help=text)
        added.set_defaults(run=run)
        if named:
            added.add_argument("name", metavar="NAME")
        add_options(added, "json")
        return added

    new = action("import", import_, "create a dataset from a folder, zip or image", named=False)
    new.add_argument("source", type=Path, metavar="SOURCE")
    new.add_argument("--name", required=True)
    new.add_argument("--add", action="store_true", help="add to a dataset that exists")
    new.add_argument("--label", default=UNLABELLED, help="of images in no class folder")
    check = action("doctor", doctor, "list problems of a dataset, or of a folder in place")
    check.add_argument("--again", action="store_true", help="decode every file anew")
    action("list", list_, "all datasets", named=False)
    action("show", show, "one dataset")
    divide = action("split", split, "split a dataset into train, val and test, and store it")
    divide.add_argument("--val", type=parse_number, default=SplitPlan.val, metavar="SHARE")
    divide.add_argument("--test", type=parse_number, default=SplitPlan.test, metavar="SHARE")
    divide.add_argument("--seed", type=parse_integer, default=SplitPlan.seed)
    divide.add_argument("--redo", action="store_true", help="also images that have a split")
    action("undo", undo_, "undo the last edit")
    file = action("export", export, "write a dataset as a zip of class folders")
    file.add_argument("file", type=parse_output, metavar="FILE.zip")


def import_(args: argparse.Namespace, settings: Settings, out: TextIO) -> int:
    """Import files; those that cannot be used are named on standard error."""
    import_files = add_to_dataset if args.add else import_dataset
    files = _list_files(args.source, settings)
    report = import_files(
        args.name,
        files,
        settings,
        choices=LayoutChoices(loose_label=args.label),
        progress=_progress,
    )
    for refusal in report.refused:
        sys.stderr.write(f"{refusal.file}: {refusal.reason}\n")
    row = _row(load_state(args.name, settings)) | {
        "added": report.added,
        "refused": report.refused,
        "seconds": report.seconds,
    }
    _write(row, args, out, ("name", "image_count", "added", "classes", "unlabelled", "hash"))
    return 0


def _list_files(source: Path, settings: Settings) -> list[Incoming]:
    if source.is_dir():
        return incoming_from_folder(source, settings.limits)
    if source.suffix.lower() == ".zip":
        return incoming_from_archive(source, settings.limits)
    if not source.is_file():
        raise BadDataset(f"Expected a folder, a zip or an image. Received {str(source)!r}.")
    siblings = incoming_from_folder(source.parent, settings.limits)
    return [item for item in siblings if item.file == source.name]


def doctor(args: argparse.Namespace, settings: Settings, out: TextIO) -> int:
    """Print every problem, with its consequence."""
    if args.name not in dataset_names(settings) and Path(args.name).is_dir():
        report = scan_folder(Path(args.name), settings.limits, progress=_progress)
    else:
        report = scan_quality(args.name, settings, progress=_progress, rescan=args.again)
    if args.json:
        row = {
            "name": args.name,
            "image_count": report.images,
            "findings": [_finding_row(finding) for finding in report.findings],
            "small_classes": report.small_classes,
        }
        write_json(out, row)
    else:
        _write_report(report, out)
    return 0


def list_(args: argparse.Namespace, settings: Settings, out: TextIO) -> int:
    """Print all datasets; damaged ones with the reason."""
    datasets, damaged = scan_datasets(settings)
    rows = [_row(each) | {"damage": ""} for each in datasets]
    if args.json:
        unread = dict.fromkeys(FIELDS)
        rows += [
            unread | {"name": each.name, "folder": str(each.folder), "damage": each.message}
            for each in damaged
        ]
        write_json(out, rows)
        return 0
    out.writelines(f"{r['name']:30} {r['image_count']:7,}  {_text(r['classes'])}\n" for r in rows)
    out.writelines(f"{each.name:30} {'damaged':>7}\n" for each in damaged)
    sys.stderr.writelines(f"{each.message}\n" for each in damaged)
    return 0


def show(args: argparse.Namespace, settings: Settings, out: TextIO) -> int:
    """Print one dataset; as JSON with every image and edit."""
    state = load_state(args.name, settings)
    row = _row(state)
    if args.json:
        row["images"] = [_image_row(state, key) for key in state.by_key]
        row["refused"] = state.refused
        row["edits"] = [
            {"description": edit.description, "time": edit.time.isoformat()} for edit in state.edits
        ]
    _write(row, args, out, tuple(row))
    return 0


def split(args: argparse.Namespace, settings: Settings, out: TextIO) -> int:
    """Split a dataset after looking for copies, which stay on one side."""
    plan = SplitPlan(args.val, args.test, args.seed, keep=not args.redo)
    scan_quality(args.name, settings, progress=_progress)
    _write(_row(split_dataset(args.name, plan, settings)), args, out, ("name", "splits"))
    return 0


def undo_(args: argparse.Namespace, settings: Settings, out: TextIO) -> int:
    """Undo the last edit."""
    _write(_row(undo_edit(args.name, settings)), args, out, ("name", "image_count", "hash"))
    return 0


def export(args: argparse.Namespace, settings: Settings, out: TextIO) -> int:
    """Write a dataset as a zip of class folders."""
    state = export_dataset(args.name, args.file, settings, progress=_progress)
    row = _row(state) | {"file": str(args.file), "bytes": args.file.stat().st_size}
    _write(row, args, out, ("name", "image_count", "hash", "file", "bytes"))
    return 0


def _progress(done: int, total: int | None) -> None:
    if done % PROGRESS_STEP == 0:
        sys.stderr.write(f"{done:,} of {total or 0:,} files\n")


def _row(state: DatasetState) -> dict[str, Any]:
    values = (
        state.name,
        str(state.folder),
        state.created.isoformat(),
        len(state.included),
        len(state.samples) - len(state.included),
        {label: count for label, count in state.counts.items() if label != UNLABELLED},
        state.counts.get(UNLABELLED, 0),
        {split or "none": counts for split, counts in state.dataset.counts_by_split.items()},
        state.dataset.hash,
    )
    return dict(zip(FIELDS, values, strict=True))


def _image_row(state: DatasetState, key: str) -> dict[str, Any]:
    item = state.by_key[key]
    return {
        "key": key,
        "file": item.file,
        "sha256": item.sha256,
        "label": item.label,
        "split": item.split,
        "excluded": item.excluded,
        "width": item.width,
        "height": item.height,
    }


def _finding_row(finding: Finding) -> dict[str, Any]:
    kind = KINDS[finding.kind]
    return {
        "kind": finding.kind,
        "level": kind.level,
        "files": finding.files,
        "details": finding.details,
        "consequence": kind.consequence,
        "accepted": finding.dismissed,
    }


def _write_report(report: QualityReport, out: TextIO) -> None:
    for name, findings in report.by_kind.items():
        kind = KINDS[name]
        out.write(f"{kind.title} ({len(findings)}; {kind.level}). {kind.consequence}\n")
        out.writelines(f"  {' = '.join(each.files)}  ({each.details})\n" for each in findings)
    out.writelines(f"Too few of {each.label}: {each.message}\n" for each in report.small_classes)
    result = "" if report.findings or report.small_classes else " No problems."
    out.write(f"{report.images:,} images checked.{result}\n")


def _write(
    row: dict[str, Any], args: argparse.Namespace, out: TextIO, shown: tuple[str, ...]
) -> None:
    if args.json:
        write_json(out, row)
    else:
        out.writelines(f"{key:12} {_text(row[key])}\n" for key in shown)


def _text(value: Any) -> str:
    if isinstance(value, dict):
        counts = (sum(v.values()) if isinstance(v, dict) else v for v in value.values())
        return ", ".join(f"{name} {count}" for name, count in zip(value, counts, strict=True))
    return str(value)
