"""The drawn sample: the same bytes every time, whole, and once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from tlcore.datasets.image_io import content_id, decode_image
from tlcore.datasets.sample_dataset import COUNTS, PAINTERS, SAMPLE_NAME, draw_sample, ensure_sample
from tlcore.datasets.splits import split_samples
from tlcore.datasets.store import scan_datasets
from tlcore.settings import Limits, Settings


@pytest.mark.parametrize("label", PAINTERS)
def test_a_image_is_the_same_every_time_and_like_no_other(label: str) -> None:
    images = [draw_sample(label, split, number) for split in COUNTS for number in (1, 2)]
    assert len({content_id(image) for image in images}) == 4
    assert draw_sample(label, "train", 1) == images[0]
    sizes = {decode_image(image, "a", Limits()).size for image in images}
    assert sizes <= {(320, 320), (400, 300), (300, 400)}


def test_two_sessions_at_once_get_the_same_whole_set(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert COUNTS == {"train": 40, "val": 12}
    few = {"train": 5, "val": 2}
    monkeypatch.setattr("tlcore.datasets.sample_dataset.COUNTS", few)
    with ThreadPoolExecutor(2) as pool:
        one, other = pool.map(ensure_sample, [settings] * 2)
    assert one == other == ensure_sample(settings)
    assert one.classes == tuple(sorted(PAINTERS))
    assert one.counts_by_split == {
        split: dict.fromkeys(one.classes, count) for split, count in few.items()
    }
    assert len({sample.sha256 for sample in one.samples}) == len(one.samples) == 28
    assert [len(side) for side in split_samples(one)] == [20, 8]
    assert [info.name for info in scan_datasets(settings)[0]] == [SAMPLE_NAME]
