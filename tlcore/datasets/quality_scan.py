"""Scanning of images that have no facts yet, of a stored dataset or of a folder in place."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from contextlib import closing, suppress
from dataclasses import replace
from datetime import UTC, datetime
from functools import lru_cache, partial
from pathlib import Path
from types import MappingProxyType

from tlcore.datasets import image_facts
from tlcore.datasets.dataset import Dataset, Refusal, Sample
from tlcore.datasets.decoding import decode_in_order
from tlcore.datasets.image_facts import AnyFacts, DamagedImageFacts, FactsTable, ImageFacts
from tlcore.datasets.image_io import content_id, decode_image_with_header, read_bytes
from tlcore.datasets.quality import QualityReport, check_quality
from tlcore.datasets.recordings import find_groups, has_sequences
from tlcore.datasets.sources import read_folder, unused_files
from tlcore.datasets.store import (
    DatasetState,
    dataset_folder,
    dataset_state,
    load_dataset,
    read_groups,
    read_state,
)
from tlcore.errors import BadImage
from tlcore.settings import Limits, Settings
from tlcore.storage import FileState

Progress = Callable[[int, int | None], None]  # images done, images in all

_BATCH = 64  # images after which facts are stored


def load_quality(name: str, settings: Settings) -> QualityReport:
    """Return the findings on the images scanned so far, at once.

    Raises:
        BadDataset: there is no such dataset, or it is damaged.
    """
    folder = dataset_folder(name, settings)
    return _load(folder, dataset_state(folder), image_facts.facts_state(folder))


@lru_cache(maxsize=8)  # values are frozen, and the states are part of the key
def _load(folder: Path, state: FileState, facts: FileState) -> QualityReport:
    table = image_facts.read_facts(folder)
    return check_quality(read_state(folder), table, read_groups(folder))


def scan_quality(
    name: str,
    settings: Settings,
    *,
    seconds: float | None = None,
    progress: Progress | None = None,
    rescan: bool = False,
) -> QualityReport:
    """Scan the images of a stored dataset that have not been scanned yet.

    Args:
        name: of the dataset.
        settings: the folder of the datasets, and the limits.
        seconds: stop after about so long; the rest is ``QualityReport.unscanned``.
        progress: called after each image.
        rescan: scan every file again, as the disk may have changed it.

    Raises:
        BadDataset: there is no such dataset, or it is damaged.
    """
    started = time.monotonic()
    folder = dataset_folder(name, settings)
    samples = {sample.sha256: sample for sample in read_state(folder).samples}
    scanned = {} if rescan else image_facts.read_facts(folder).by_sha256
    waiting = [sample for sha256, sample in samples.items() if sha256 not in scanned]
    facts: list[AnyFacts] = []
    measure = partial(_measure, limits=settings.limits)
    with closing(decode_in_order(measure, waiting)) as results:
        for done, result in enumerate(results, start=len(samples) - len(waiting) + 1):
            facts.append(result)
            if len(facts) == _BATCH:
                image_facts.append_facts(folder, facts)
                facts.clear()
            if progress is not None:
                progress(done, len(samples))
            if seconds is not None and time.monotonic() - started > seconds:
                break
    image_facts.append_facts(folder, facts)
    return load_quality(name, settings)


def _measure(
    sample: Sample, *, limits: Limits, stored: Mapping[str, AnyFacts] = MappingProxyType({})
) -> AnyFacts:
    try:
        data = read_bytes(sample.path, sample.file, limits)
        sha256 = sample.sha256 or content_id(data)
        if sha256 in stored:
            return stored[sha256]
        image, header = decode_image_with_header(data, sample.file, limits)
    except BadImage as error:
        refusal = Refusal.of(sample.file, error)
        return DamagedImageFacts(sample.sha256, refusal.kind, refusal.reason)
    return image_facts.measure_image(image, header, sha256)


def open_grouped(reference: str, settings: Settings) -> Dataset:
    """Open a dataset as ``open_dataset`` does, for a run: its samples name their groups.

    For that, images of a stored dataset that were not scanned are; those of a folder in place only
    where their names suggest recordings, and once: their facts are stored.
    """
    if not Path(reference).is_absolute():
        folder = dataset_folder(reference, settings)
        scanned = image_facts.read_facts(folder).by_sha256
        if any(sample.sha256 not in scanned for sample in read_state(folder).samples):
            scan_quality(reference, settings)
        return load_dataset(reference, settings)
    dataset = read_folder(Path(reference))
    if not has_sequences(sample.file for sample in dataset.samples):
        return dataset
    folder = settings.folder_facts / content_id(os.fsencode(Path(reference).resolve()))
    stored = image_facts.read_facts(folder).by_sha256
    measure = partial(_measure, limits=settings.limits, stored=stored)
    facts = list(decode_in_order(measure, dataset.samples))
    with suppress(OSError):  # a full or read-only disk: they are measured again
        folder.mkdir(parents=True, exist_ok=True)
    added = {each.sha256: each for each in facts if isinstance(each, ImageFacts)}
    image_facts.append_facts(folder, [added[each] for each in added if each not in stored])
    pairs = zip(dataset.samples, facts, strict=True)
    samples = [replace(sample, sha256=each.sha256) for sample, each in pairs]
    groups = find_groups(samples, FactsTable({each.sha256: each for each in facts}))
    grouped = (replace(sample, group=groups.get(sample.sha256, "")) for sample in samples)
    return replace(dataset, samples=tuple(grouped))


def scan_folder(path: Path, limits: Limits, *, progress: Progress | None = None) -> QualityReport:
    """Return the findings on a folder of class folders in place; nothing is written.

    Raises:
        BadDataset: no folder, or no class folder with an image in it.
    """
    offered = read_folder(path).samples
    samples: list[Sample] = []
    facts: dict[str, AnyFacts] = {}
    refused: list[Refusal] = []
    with closing(decode_in_order(partial(_measure, limits=limits), offered)) as results:
        for done, (sample, result) in enumerate(zip(offered, results, strict=True), start=1):
            if isinstance(result, ImageFacts):
                facts[result.sha256] = result
                width, height = result.width, result.height
                samples.append(replace(sample, sha256=result.sha256, width=width, height=height))
            else:
                refused.append(Refusal(sample.file, result.reason, result.kind))
            if progress is not None:
                progress(done, len(offered))
    other = "Expected an image's ending, like .jpg. Received another: importing tries it."
    refused += [Refusal(file, other) for file in unused_files(path)]
    state = DatasetState(path, datetime.now(UTC), tuple(samples), (), tuple(refused))
    table = FactsTable(facts)
    return check_quality(state, table, find_groups(samples, table))
