"""``dataset``: stored datasets; import, doctor, list, show, split, undo, export."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TextIO

from tlcore.cli.options import Subparsers, add_json, decimal, output_file, whole, write_json
from tlcore.datasets.dataset import UNLABELLED, Incoming
from tlcore.datasets.edits import DatasetState, undo
from tlcore.datasets.export import export_dataset
from tlcore.datasets.importing import add_to_dataset, import_dataset
from tlcore.datasets.manifest import dataset_names
from tlcore.datasets.quality import KINDS
from tlcore.datasets.quality_report import Finding, QualityReport
from tlcore.datasets.quality_scan import examine, examine_folder
from tlcore.datasets.sources import from_folder, from_zip
from tlcore.datasets.splits import SplitPlan, split_dataset
from tlcore.datasets.store import DamagedDataset, load_state, scan_datasets
from tlcore.errors import BadDataset
from tlcore.settings import Settings

_EVERY = 250  # files after which progress is told


def add(subparsers: Subparsers) -> None:
    parser = subparsers.add_parser("dataset", help=__doc__)
    actions = parser.add_subparsers(required=True, metavar="import|doctor|list|show|split|undo|…")
    bring = _action(actions, "import", import_, "make a set of a folder, a zip or an image")
    bring.add_argument("source", type=Path, metavar="SOURCE")
    bring.add_argument("--name", required=True)
    bring.add_argument("--add", action="store_true", help="to a set that is there")
    bring.add_argument("--label", default=UNLABELLED, help="of images in no folder")
    check = _action(actions, "doctor", doctor, "name what is wrong with a set")
    check.add_argument("name", metavar="NAME", help="of a set, or a folder read in place")
    check.add_argument("--again", action="store_true", help="decode every file anew")
    _action(actions, "list", list_, "all sets")
    _named(_action(actions, "show", show, "one set"))
    divide = _named(_action(actions, "split", split, "divide a set and keep the division"))
    divide.add_argument("--val", type=decimal, default=SplitPlan.val, metavar="SHARE")
    divide.add_argument("--test", type=decimal, default=SplitPlan.test, metavar="SHARE")
    divide.add_argument("--seed", type=whole, default=SplitPlan.seed)
    divide.add_argument("--redo", action="store_true", help="parts that were given as well")
    _named(_action(actions, "undo", undo_, "take the last edit back"))
    out = _named(_action(actions, "export", export, "write a set as a zip of class folders"))
    out.add_argument("file", type=output_file, metavar="FILE.zip")


Run = Callable[[argparse.Namespace, Settings, TextIO], int]


def _action(actions: Subparsers, name: str, run: Run, words: str) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = actions.add_parser(name, help=words)
    parser.set_defaults(run=run)
    add_json(parser)
    return parser


def _named(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    parser.add_argument("name", metavar="NAME")
    return parser


def import_(args: argparse.Namespace, settings: Settings, out: TextIO) -> int:
    keep = add_to_dataset if args.add else import_dataset
    files = _incoming(args.source, settings)
    report = keep(args.name, files, settings, default_label=args.label, progress=_tell)
    for refusal in report.refused:
        sys.stderr.write(f"{refusal.file}: {refusal.reason}\n")
    answer = _summary(load_state(args.name, settings)) | {
        "added": report.added,
        "refused": report.refused,
        "seconds": report.seconds,
    }
    _write(answer, args, out, ("name", "pictures", "added", "classes", "unlabelled", "hash"))
    return 0


def doctor(args: argparse.Namespace, settings: Settings, out: TextIO) -> int:
    found = _examined(args, settings)
    answer = {
        "name": args.name,
        "pictures": found.images,
        "findings": [_finding(one) for one in found.findings],
        "shortages": found.shortages,
    }
    if args.json:
        write_json(out, answer)
    else:
        _write_report(found, out)
    return 0


def list_(args: argparse.Namespace, settings: Settings, out: TextIO) -> int:
    sets, damaged = scan_datasets(settings)
    rows = [_summary(load_state(info.name, settings)) | {"damage": ""} for info in sets]
    if args.json:
        write_json(out, [*rows, *map(_damaged, damaged)])
        return 0
    out.writelines(f"{r['name']:30} {r['images']:7,}  {_said(r['classes'])}\n" for r in rows)
    out.writelines(f"{one.name:30} {'damaged':>7}\n" for one in damaged)
    sys.stderr.writelines(f"{one.words}\n" for one in damaged)
    return 0


def _damaged(one: DamagedDataset) -> dict[str, Any]:
    """Return the row of a set that cannot be read: what is not known of it is null."""
    names = ("created", "pictures", "excluded", "classes", "unlabelled", "splits", "hash")
    row = {"name": one.name, "folder": str(one.folder), "damage": one.words}
    return row | dict.fromkeys(names)


def show(args: argparse.Namespace, settings: Settings, out: TextIO) -> int:
    state = load_state(args.name, settings)
    answer = _summary(state)
    if args.json:
        answer["images"] = [_image(state, key) for key in state.by_key]
        answer["refused"] = state.refused
        answer["edits"] = [{"words": edit.words, "at": edit.at.isoformat()} for edit in state.edits]
    _write(answer, args, out, tuple(answer))
    return 0


def split(args: argparse.Namespace, settings: Settings, out: TextIO) -> int:
    division = SplitPlan(args.val, args.test, args.seed, keep=not args.redo)
    examine(args.name, settings, progress=_tell)
    answer = _summary(split_dataset(args.name, division, settings))
    _write(answer, args, out, ("name", "splits"))
    return 0


def undo_(args: argparse.Namespace, settings: Settings, out: TextIO) -> int:
    _write(_summary(undo(args.name, settings)), args, out, ("name", "pictures", "hash"))
    return 0


def export(args: argparse.Namespace, settings: Settings, out: TextIO) -> int:
    state = export_dataset(args.name, args.file, settings, progress=_tell)
    answer = _summary(state) | {"file": str(args.file), "bytes": args.file.stat().st_size}
    _write(answer, args, out, ("name", "pictures", "hash", "file", "bytes"))
    return 0


def _incoming(source: Path, settings: Settings) -> list[Incoming]:
    if source.is_dir():
        return from_folder(source, settings.limits)
    if source.suffix.lower() == ".zip":
        return from_zip(source, settings.limits)
    if not source.is_file():
        raise BadDataset(f"Expected a folder, a zip or an image. Received {str(source)!r}.")
    siblings = from_folder(source.parent, settings.limits)
    return [item for item in siblings if item.file == source.name]


def _examined(args: argparse.Namespace, settings: Settings) -> QualityReport:
    if args.name not in dataset_names(settings) and Path(args.name).is_dir():
        return examine_folder(Path(args.name), settings.limits, progress=_tell)
    return examine(args.name, settings, progress=_tell, again=args.again)


def _tell(done: int, total: int | None) -> None:
    if done % _EVERY == 0:
        sys.stderr.write(f"{done:,} of {total or 0:,} files\n")


def _summary(state: DatasetState) -> dict[str, Any]:
    return {
        "name": state.name,
        "folder": str(state.folder),
        "created": state.created.isoformat(),
        "pictures": len(state.used),
        "excluded": len(state.items) - len(state.used),
        "classes": {label: n for label, n in state.counts.items() if label != UNLABELLED},
        "unlabelled": state.counts.get(UNLABELLED, 0),
        "splits": {part or "none": n for part, n in state.dataset.counts_by_split.items()},
        "hash": state.content_hash,
    }


def _image(state: DatasetState, key: str) -> dict[str, Any]:
    item = state.by_key[key]
    entry = item.entry
    return {
        "key": key,
        "file": entry.file,
        "sha256": entry.sha256,
        "label": item.label,
        "split": item.split,
        "excluded": item.excluded,
        "width": entry.width,
        "height": entry.height,
    }


def _finding(finding: Finding) -> dict[str, Any]:
    kind = KINDS[finding.kind]
    return {
        "kind": finding.kind,
        "level": kind.level,
        "files": finding.files,
        "detail": finding.detail,
        "consequence": kind.consequence,
        "kept": finding.settled,
    }


def _write_report(found: QualityReport, out: TextIO) -> None:
    for name, findings in found.by_kind.items():
        kind = KINDS[name]
        out.write(f"{kind.title} ({len(findings)}; {kind.level}). {kind.consequence}\n")
        for finding in findings:
            out.write(f"  {' = '.join(finding.files)}  ({finding.detail})\n")
    for short in found.shortages:
        out.write(f"Too few of {short.label}: {short.words}\n")
    nothing = "" if found.findings or found.shortages else " Nothing to find fault with."
    out.write(f"{found.images:,} images looked at.{nothing}\n")


def _write(
    answer: dict[str, Any], args: argparse.Namespace, out: TextIO, shown: tuple[str, ...]
) -> None:
    if args.json:
        write_json(out, answer)
    else:
        out.writelines(f"{key:10} {_said(answer[key])}\n" for key in shown)


def _said(value: Any) -> str:
    if isinstance(value, dict):
        counts = (sum(v.values()) if isinstance(v, dict) else v for v in value.values())
        return ", ".join(f"{name} {count}" for name, count in zip(value, counts, strict=True))
    return str(value)
