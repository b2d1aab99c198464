"""``dataset``: import, check, list, show, split and export datasets; undo edits."""

from __future__ import annotations

import argparse
import shlex
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
from tlcore.datasets.archive import (
    incoming_from_archive,
    incoming_from_one_of_several,
    is_archive,
    put_in_folder,
    put_loose_in_folder,
)
from tlcore.datasets.dataset import SPLIT_NAMES, UNLABELLED, Incoming
from tlcore.datasets.edits import undo_edit
from tlcore.datasets.export import export_dataset
from tlcore.datasets.importing import (
    Addition,
    add_to_dataset,
    import_dataset,
    preview_addition,
)
from tlcore.datasets.layout import LABEL_SOURCES, Layout, LayoutChoices, normal_name, read_layout
from tlcore.datasets.layout_folders import MEANINGS
from tlcore.datasets.quality import KINDS, Finding, QualityReport
from tlcore.datasets.quality_scan import scan_folder, scan_quality
from tlcore.datasets.sources import incoming_from_folder, list_incoming
from tlcore.datasets.split_notes import describe_groups
from tlcore.datasets.splits import SplitPlan, split_dataset
from tlcore.datasets.store import (
    DatasetState,
    dataset_names,
    load_dataset,
    load_state,
    scan_datasets,
)
from tlcore.errors import BadDataset
from tlcore.models.imagenet import imagenet_word
from tlcore.settings import Settings

NAMED = 5  # files of a finding; as JSON all of them
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

    new = action("import", import_, "create a dataset from folders, archives, images", named=False)
    new.add_argument("sources", type=Path, nargs="+", metavar="SOURCE")
    new.add_argument("--name", default="", help="of the dataset; needed but for --dry-run")
    new.add_argument("--add", action="store_true", help="add to a dataset that exists")
    new.add_argument("--dry-run", action="store_true", help="only say what was recognised")
    _add_choices(new)
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
    if not args.name and (args.add or not args.dry_run):
        raise BadDataset("Expected --name NAME. Received none.")
    import_files = add_to_dataset if args.add else import_dataset
    files, choices = _list_files(args.sources, settings), _read_choices(args)
    if args.dry_run:
        layout = read_layout(list_incoming(files), choices)
        addition = preview_addition(args.name, files, layout, settings) if args.add else None
        _write_layout(layout, addition, args, out)
        return 0
    report = import_files(args.name, files, settings, choices=choices, progress=_progress)
    sys.stderr.write(f"{report.layout.describe(imagenet_word)}\n")
    if left_out := report.layout.describe_left_out():
        sys.stderr.write(f"{left_out}\n")
    for refusal in report.refused:
        sys.stderr.write(f"{refusal.file}: {refusal.reason}\n")
    row = _row(load_state(args.name, settings)) | {
        "added": report.added,
        "refused": report.refused,
        "seconds": report.seconds,
    }
    _write(row, args, out, ("name", "image_count", "added", "classes", "unlabelled", "hash"))
    return 0


def _add_choices(parser: Any) -> None:
    """Add the options by which files are read otherwise: the fields of ``LayoutChoices``."""
    parser.add_argument("--label", default=UNLABELLED, help="of images in no class folder")
    parser.add_argument("--labels", choices=LABEL_SOURCES, default="", help="where they are from")
    parser.add_argument("--level", type=parse_integer, default=0, help="of the folders that are "
                        "the classes, 1 for the outermost")  # fmt: skip
    parser.add_argument("--folder", action="append", default=[], metavar="FOLDER=MEANING",
                        help=f"what a folder is: {', '.join(MEANINGS)}")  # fmt: skip
    parser.add_argument("--table", default="", metavar="FILE", help="with labels or splits")
    for column in ("file", "label", "split"):
        parser.add_argument(f"--{column}-column", default="", metavar="HEADING", help="of --table")


def _read_choices(args: argparse.Namespace) -> LayoutChoices:
    pairs = [text.rpartition("=")[::2] for text in args.folder]
    if wrong := [meaning for folder, meaning in pairs if meaning not in MEANINGS or not folder]:
        raise BadDataset(
            f"Expected --folder FOLDER=MEANING ({', '.join(MEANINGS)}). Received {wrong[0]!r}."
        )
    return LayoutChoices(args.labels, args.level, tuple(pairs), args.table, args.file_column,
                         args.label_column, args.split_column, args.label)  # fmt: skip


def _write_choices(choices: LayoutChoices) -> str:
    """Return the options that make these choices."""
    names = {"labels": "labels", "table": "table", "file_column": "file-column",
             "label_column": "label-column", "split_column": "split-column"}  # fmt: skip
    words = [f"--{option}={value}" for name, option in names.items()
             if (value := getattr(choices, name))]  # fmt: skip
    words += [f"--level={choices.level}"] if choices.level else []
    words += [f"--folder={folder}={meaning}" for folder, meaning in choices.folders]
    words += [f"--label={choices.loose_label}"] if choices.loose_label != UNLABELLED else []
    return shlex.join(words)


def _list_files(sources: list[Path], settings: Settings) -> list[Incoming]:
    """List the files of all sources; of several, each folder and archive is a folder."""
    incoming: list[Incoming] = []
    for source in sources:
        name = source.absolute().name
        if source.is_dir():
            files = incoming_from_folder(source, settings.limits)
            several = len(sources) > 1
            incoming += put_in_folder(files, name) if several else put_loose_in_folder(files, name)
        elif is_archive(name) and source.is_file():
            incoming += incoming_from_one_of_several(source, name, settings.limits) if (
                len(sources) > 1) else incoming_from_archive(source, settings.limits)  # fmt: skip
        elif source.is_file():
            siblings = incoming_from_folder(source.parent, settings.limits)
            incoming += [item for item in siblings if item.file == normal_name(name)]
        else:
            raise BadDataset(
                f"Expected a folder, an archive or an image. Received {str(source)!r}."
            )
    return incoming


def _table_row(layout: Layout) -> dict[str, Any] | None:
    fields = ("name", "columns", "file_column", "label_columns", "split_column", "rows",
              "rows_without_image", "images_without_row")  # fmt: skip
    return {name: getattr(layout.table, name) for name in fields} if layout.table else None


def _write_layout(
    layout: Layout, addition: Addition | None, args: argparse.Namespace, out: TextIO
) -> None:
    """Write what was recognised, what is left out, and the options for other readings."""
    others = [{"title": other.title, "options": _write_choices(other.choices)}
              for other in layout.alternatives]  # fmt: skip
    if args.json:
        fields = ("images", "unlabelled", "labels_from", "level", "folders", "left_out")
        counts = {label: {split or "none": n for split, n in by_split.items()}
                  for label, by_split in layout.counts.items()}  # fmt: skip
        row = {"sentence": layout.describe(), "classes": counts, "alternatives": others,
               "addition": addition, "table": _table_row(layout)}  # fmt: skip
        write_json(out, row | {name: getattr(layout, name) for name in fields})
        return
    out.write(f"{layout.describe(imagenet_word)}\n")
    for label, by_split in layout.counts.items():
        numbers = ", ".join(f"{SPLIT_NAMES.get(split or '', 'no split')} {number:,}"
                            for split, number in by_split.items())  # fmt: skip
        out.write(f"  {imagenet_word(label):30} {numbers}\n")
    out.writelines(f"{line}\n" for line in (layout.describe_left_out(), addition and
                                            addition.describe()) if line)  # fmt: skip
    out.writelines(f"{other['title']}\n  {other['options']}\n" for other in others)


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
            "warnings": report.warnings,
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
    is_new = args.redo or all(s.split is None for s in load_dataset(args.name, settings).samples)
    _write(_row(split_dataset(args.name, plan, settings)), args, out, ("name", "splits"))
    samples = load_dataset(args.name, settings).samples
    train, val = ([s for s in samples if s.split == split] for split in ("train", "val"))
    if groups := describe_groups(train, val, plan.val if is_new else None):
        sys.stderr.write(f"{groups}\n")
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
        for each in findings:
            more = f" and {len(each.files) - NAMED} more" if len(each.files) > NAMED else ""
            out.write(f"  {' = '.join(each.files[:NAMED])}{more}  ({each.details})\n")
    out.writelines(f"Too few of {each.label}: {each.message}\n" for each in report.small_classes)
    out.writelines(f"{warning.message}\n" for warning in report.warnings)
    is_clean = not (report.findings or report.small_classes or report.warnings)
    result = " No problems." if is_clean else ""
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
