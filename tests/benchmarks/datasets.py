"""Datasets at size: import, doctor and gallery. By hand: python -m tests.benchmarks.datasets

First the layout of 100,000 names of four kinds, in seconds. Then, on images of 500 × 375 that it
generates: Pillow's bare decoding on as many threads as the import
has, import, the doctor's report, the ratio of the last two to the first; peak memory; and how long
a page of the gallery takes at 50, 500 and 5,000 images, as the page's own script runs.
"""
# ruff: noqa: T201 - printing is what it is for

from __future__ import annotations

import argparse
import io
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image

from tlcore.datasets.decoding import THREADS
from tlcore.datasets.importing import import_dataset
from tlcore.datasets.layout import ListedFile, read_layout
from tlcore.datasets.quality_scan import load_quality
from tlcore.datasets.sources import incoming_from_folder
from tlcore.settings import PROJECT, Settings

SIZE = (500, 375)
CELLS = (24, 32)  # of random colour, so that a file is as large as an image's
GRAIN = 14
PAGES = 12  # of the gallery that are timed at each size


def generate(folder: Path, count: int) -> None:
    """Images in five classes, about 75 kB each."""
    for number in range(count):
        random = np.random.default_rng(number)
        cells = random.integers(0, 256, (*CELLS, 3), dtype=np.uint8)
        soft = np.asarray(Image.fromarray(cells).resize(SIZE, Image.Resampling.BICUBIC))
        grain = random.integers(-GRAIN, GRAIN, (SIZE[1], SIZE[0], 1))
        path = folder / f"class {number % 5}" / f"{number:05}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        whole = Image.fromarray((soft + grain).clip(0, 255).astype(np.uint8))
        whole.save(path, "JPEG", quality=88)


def layouts() -> None:
    """Print the seconds in which 100,000 names are read, without images."""
    number = range(100_000)
    rows = "".join(f"{n:06},breed {n % 120}\n" for n in number).encode()
    listings = {
        "100 classes": [f"set/{'val' if n % 500 < 100 else 'train'}/class {n % 100}/{n}.jpg"
                                   for n in number],
        "1,000 classes": [f"class {n % 1000}/{n}.jpg" for n in number],
        "labels in names": [f"train/{'cat' if n % 2 else 'dog'}.{n}.jpg" for n in number],
        "a table of labels": [f"train/{n:06}.jpg" for n in number],
    }  # fmt: skip
    for kind, names in listings.items():
        files = [ListedFile(name) for name in names]
        if kind == "a table of labels":
            files.append(ListedFile("labels.csv", b"id,breed\n" + rows))
        started = time.perf_counter()
        sentence = read_layout(files).describe()
        print(f"layout, {kind}: {time.perf_counter() - started:.2f} s  {sentence[:50]} …")


def decode_only(paths: list[Path]) -> float:
    """Seconds to read and decode every file with Pillow, and nothing else."""

    def decode(path: Path) -> None:
        Image.open(io.BytesIO(path.read_bytes())).load()

    started = time.perf_counter()
    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(decode, paths))
    return time.perf_counter() - started


def bring(folder: Path, name: str, settings: Settings) -> tuple[float, float]:
    """Seconds of the import and of the doctor's report."""
    started = time.perf_counter()
    report = import_dataset(name, incoming_from_folder(folder, settings.limits), settings)
    assert not report.refused
    between = time.perf_counter()
    found = load_quality(name, settings)
    assert found.unscanned == 0
    kinds = {kind: len(some) for kind, some in found.by_kind.items()}
    print(f"  findings: {kinds or 'none'}")
    return between - started, time.perf_counter() - between


GALLERY = """
import statistics, sys, time
from streamlit.testing.v1 import AppTest
from tlcore.inference.client import Inference
Inference.warm_up = lambda self: None
at = AppTest.from_file("app.py", default_timeout=120)
at.switch_page("pages/1_Upload.py")
at.query_params["set"], at.query_params["view"] = sys.argv[1], "label"
started = time.perf_counter()
at.run()
first = time.perf_counter() - started
assert not at.exception, at.exception
import streamlit as st
key = [n.key for n in at.number_input if str(n.key).startswith("page-")][0]
last = int(key.split("-")[1])
times = {"made": [], "kept": []}
for what in times:  # thumbnails are made in the first round; in both a page is drawn anew
    for page in range(int(sys.argv[2])):
        st.cache_data.clear()
        at.number_input(key=key).set_value(page % last + 1)
        started = time.perf_counter()
        at.run()
        times[what].append(time.perf_counter() - started)
print(first, *(statistics.median(some) for some in times.values()))
"""


def gallery(name: str, settings: Settings) -> tuple[float, float, float]:
    """Seconds of the first page in a fresh server; of pages with new and with kept thumbnails."""
    done = subprocess.run(
        [sys.executable, "-c", GALLERY, name, str(PAGES)],
        cwd=PROJECT, env={**os.environ, **settings.to_environment()},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    first, made, kept = map(float, done.stdout.split())
    return first, made, kept


def peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--counts", type=int, nargs="*", default=[50, 500, 5000])
    args = parser.parse_args()
    layouts()
    with tempfile.TemporaryDirectory() as place:
        settings = Settings(home=Path(place) / "home", keras_home=Path(place))
        largest = max(args.counts)
        source = Path(place) / "all"
        generate(source, largest)
        paths = sorted(source.rglob("*.jpg"))
        size = statistics.mean(path.stat().st_size for path in paths) / 1000
        print(f"{largest} images of {size:.0f} kB, {THREADS} threads, {peak():.0f} MB before")
        before = decode_only(paths)
        took, report = bring(source, f"set {largest}", settings)
        bare = (before + decode_only(paths)) / 2
        print(f"  decoding alone {bare:.1f} s ({largest / bare:.0f} files/s; before and after)")
        print(f"  import {took:.1f} s ({largest / took:.0f} files/s), doctor {report:.2f} s")
        print(f"  import + doctor = {(took + report) / bare:.2f} × decoding; peak {peak():.0f} MB")
        for count in args.counts:
            name = f"set {count}"
            if count != largest:
                part = Path(place) / name
                for path in paths[:count]:
                    target = part / path.relative_to(source)
                    target.parent.mkdir(parents=True, exist_ok=True)
                    target.hardlink_to(path)
                bring(part, name, settings)
            first, made, kept = gallery(name, settings)
            print(
                f"  gallery at {count}: first {first:.2f} s, a page with new thumbnails "
                f"{made * 1000:.0f} ms, with kept ones {kept * 1000:.0f} ms (medians)"
            )


if __name__ == "__main__":
    main()
