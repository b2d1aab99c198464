"""A workspace written by an earlier release (commit 765b24b), unpacked for a test.

It holds the dataset "Three colours" (37 images that ``tests.images`` draws, one of them a copy;
one file refused; images relabelled and excluded, a class renamed, an edit undone, a stored split),
a finished run and one that was stopped after its second epoch, with the answers kept for both. The
backbone is MobileNet 0.25 at 32 pixels with coarse random weights.

It never changes: what it holds is what people have on disk.
"""

from __future__ import annotations

import tarfile
from pathlib import Path

from tlcore.migration import migrate
from tlcore.settings import Settings

HERE = Path(__file__).parent / "fixtures" / "workspace_765b24b"
ANSWERS = HERE / "answers.json"
DATASET = "Three colours"
FINISHED, STOPPED = "20261126-055114-027000", "20261126-055114-903032"
PLACE = "{home}"  # stands for the absolute path of the workspace


def unpack(home: Path, *, convert: bool = True) -> Path:
    """Unpack the workspace, with the times of its files; return its folder.

    Args:
        home: a folder that is not there yet.
        convert: give files and keys today's names, as the program does when it starts.
    """
    with tarfile.open(HERE / "workspace.tar.xz") as archive:
        archive.extractall(home, filter="data")
    for split in home.glob("*/*/split.json"):
        text = split.read_text(encoding="utf-8")
        split.write_text(text.replace(PLACE, str(home)), encoding="utf-8")
    if convert:
        migrate(Settings(home=home, keras_home=home))
    return home
