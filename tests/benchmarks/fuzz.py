"""Damaged files by the thousand. By hand: python -m tests.benchmarks.fuzz [--count 2000]

Every format and zips, mutated and brought in through the whole import and the doctor. An exception
other than ours ends it with the seed that brings it about; at the end: how many were taken, the
threads and processes left, and the peak of memory.
"""
# ruff: noqa: T201 - printing is what it is for

from __future__ import annotations

import argparse
import io
import resource
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path
from random import Random

from tests.datasets.files import every_format, jpeg, mutated, zipped
from tlcore.datasets.archive import incoming_from_archive
from tlcore.datasets.importing import import_dataset
from tlcore.datasets.quality_scan import load_quality
from tlcore.datasets.sources import incoming_from_uploads
from tlcore.datasets.store import delete_dataset
from tlcore.errors import BadDataset
from tlcore.settings import Limits, Settings

LIMITS = Limits(pixels=4_000_000, file_bytes=4 * 2**20)
BATCH = 50  # files an import
MEMORY = 600  # MB that the whole may take


def files(seed: int) -> list[tuple[str, bytes]]:
    random = Random(seed)
    whole = list(every_format().items())
    chosen = [whole[number % len(whole)] for number in range(BATCH)]
    return [
        (f"a/{number}-{name}", mutated(random, data)) for number, (name, data) in enumerate(chosen)
    ]


def archive(seed: int) -> io.BytesIO:
    random = Random(-seed)
    data = zipped({f"ants/{i}.jpg": jpeg(i) for i in range(3)}, compression=8 * (seed % 2))
    return io.BytesIO(mutated(random, data.getvalue()))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=2000, help="files, and as many zips again")
    args = parser.parse_args()
    told: Counter[str] = Counter()
    started, threads = time.monotonic(), threading.active_count()
    with tempfile.TemporaryDirectory() as place:
        settings = Settings(home=Path(place), keras_home=Path(place), limits=LIMITS)
        for seed in range(-(-args.count // BATCH)):
            attempt(f"files {seed}", incoming_from_uploads(files(seed)), settings, told)
        for seed in range(args.count):
            try:
                inside = incoming_from_archive(archive(seed), LIMITS)
            except BadDataset:
                told["zips refused"] += 1
                continue
            attempt(f"zip {seed}", inside, settings, told)
        left = [path.name for path in settings.datasets.iterdir() if path.name[0] != "."]
        assert not left, left
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(dict(told), f"{time.monotonic() - started:.0f} s, peak {peak:.0f} MB")
    assert threading.active_count() == threads, "threads left behind"
    assert peak < MEMORY, "too much memory"


def attempt(what: str, incoming: list, settings: Settings, told: Counter[str]) -> None:  # type: ignore[type-arg]
    try:
        report = import_dataset("fuzzed", incoming, settings)
    except BadDataset:
        told["imports refused"] += 1
        return
    except Exception as error:
        raise AssertionError(what) from error
    told["files taken"] += report.added
    told["files refused"] += len(report.refused)
    load_quality("fuzzed", settings)
    delete_dataset("fuzzed", settings)


if __name__ == "__main__":
    main()
