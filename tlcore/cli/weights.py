"""``weights``: which pretrained weights are here; ``weights fetch``: get more."""

from __future__ import annotations

import argparse
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any, TextIO

from tlcore.cli.options import Subparsers, add_json, add_size, output_file, size_of, write_json
from tlcore.errors import TLCoreError
from tlcore.models.catalog import backbone
from tlcore.models.weights import Download, Ready, file_name, ready, write_download
from tlcore.settings import Settings


def add(subparsers: Subparsers) -> None:
    parser = subparsers.add_parser("weights", help=__doc__)
    parser.set_defaults(run=list_weights)
    add_json(parser)
    fetch = parser.add_subparsers(metavar="fetch").add_parser("fetch", help="download weights")
    fetch.set_defaults(run=fetch_weights)
    fetch.add_argument("names", nargs="+", metavar="NAME", help="backbones")
    fetch.add_argument(
        "--progress-file", type=output_file, help="JSON, replaced as the download goes on"
    )
    add_size(fetch)
    add_json(fetch)


def list_weights(args: argparse.Namespace, settings: Settings, out: TextIO) -> int:
    rows = ready(settings)
    if args.json:
        write_json(out, [_row(row) for row in rows])
        return 0
    for row in rows:
        out.write(f"{row.backbone.name:18} {_state(row):8} {row.note}\n")
        out.writelines(f"{'':18} {words}\n" for words in row.damage)
    out.write(f"in {settings.weights}\n")
    return 0


def _state(row: Ready) -> str:
    if row.damage:
        return "damaged"
    return {2: "ready", 1: "half", 0: "missing"}[bool(row.top) + bool(row.no_top)]


def _row(row: Ready) -> dict[str, Any]:
    names = {
        "top": file_name(row.backbone, row.backbone.size, top=True),
        "no_top": file_name(row.backbone, row.backbone.size, top=False),
    }
    return {
        "name": row.backbone.name,
        "ready": bool(row.top and row.no_top),
        "top": row.top and row.top.path,
        "no_top": row.no_top and row.no_top.path,
        "files": names,
        "damage": row.damage,
        "note": row.note,
    }


def fetch_weights(args: argparse.Namespace, settings: Settings, out: TextIO) -> int:
    from tlcore.models.download import fetch

    paths = []
    for name in args.names:
        row = backbone(name)
        size = row.check_size(size_of(args, name), top=False)
        for top in (True, False):
            report = _Report(args.progress_file, file_name(row, size, top=top))
            try:
                paths.append(fetch(row, size, settings, top=top, progress=report))
            except TLCoreError as error:
                report.end("failed", str(error))
                raise
    report.end("done")
    write_json(out, paths) if args.json else out.writelines(f"{path}\n" for path in paths)
    return 0


class _Report:
    """Tells how far a download is: on standard error, and in a file if one is named."""

    def __init__(self, path: Path | None, file: str) -> None:
        self.path, self.file = path, file
        self.done = 0
        self.total: int | None = None

    def __call__(self, done: int, total: int | None) -> None:
        self.done, self.total = done, total
        of = f" of {total / 1e6:.1f}" if total else ""
        sys.stderr.write(f"{self.file}: {done / 1e6:.1f}{of} MB\n")
        self.end("running")

    def end(self, state: str, error: str = "") -> None:
        with suppress(OSError):  # on a full disk the download matters, not how far it is
            if self.path:
                write_download(self.path, Download(state, self.done, self.total, error))
