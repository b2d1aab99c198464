"""What belongs together stays in one split: frames of a recording, crops of a photograph."""

from __future__ import annotations

from collections import Counter, defaultdict
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.datasets.files import encoded, write_folder
from tlcore.datasets import quality_scan
from tlcore.datasets.dataset import Sample
from tlcore.datasets.edits import exclude
from tlcore.datasets.image_facts import FactsTable, measure_image
from tlcore.datasets.image_io import Header
from tlcore.datasets.importing import add_to_dataset, import_dataset
from tlcore.datasets.quality import RECORDING
from tlcore.datasets.quality_scan import load_quality, open_grouped
from tlcore.datasets.recordings import find_groups
from tlcore.datasets.sources import incoming_from_uploads
from tlcore.datasets.split_notes import describe_groups
from tlcore.datasets.splits import (
    SplitPlan,
    assign_folds,
    divide_again,
    draw_stratified,
    duplicate_group,
    split_dataset,
    split_samples,
)
from tlcore.datasets.store import load_dataset
from tlcore.settings import Settings

Files = dict[str, Image.Image]


def texture(seed: int, cells: int = 12, size: int = 96) -> np.ndarray:
    """Hard blocks of random colours, which a shift by a pixel changes visibly."""
    blocks = np.random.default_rng(seed).integers(0, 256, (cells, cells, 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(blocks).resize((size, size), Image.Resampling.NEAREST))


def frames(seed: int, number: int = 30, **options: int) -> list[Image.Image]:
    """A scene that moves by a pixel a frame, with a little noise."""
    scene, noise = texture(seed, **options).astype(float), np.random.default_rng(seed + 1)
    moved = (np.roll(scene, at, axis=1) + noise.normal(0, 6, scene.shape) for at in range(number))
    return [Image.fromarray(frame.clip(0, 255).astype(np.uint8)) for frame in moved]


def recordings(number: int = 30, **options: int) -> Files:
    """Two classes of two recordings each."""
    names = ("left/rec0", "left/rec1", "right/rec0", "right/rec1")
    return {
        f"{name}_frame{at:03}.jpg": frame
        for seed, name in enumerate(names)
        for at, frame in enumerate(frames(seed, number, **options))
    }


def landscape(seed: int) -> Image.Image:
    """Something smooth with edges, as a photograph has them; no two alike."""
    random = np.random.default_rng(seed)
    image = Image.fromarray(random.integers(0, 256, (4, 5, 3), dtype=np.uint8))
    image = image.resize((240, 180), Image.Resampling.BICUBIC)
    for _ in range(12):
        x, y, w, h = random.integers(0, (200, 150, 90, 70))
        image.paste(tuple(map(int, random.integers(0, 256, 3))), (x, y, x + w + 8, y + h + 8))
    return image


def group(files: Files, headers: dict[str, Header] | None = None) -> list[set[str]]:
    """The names of each group."""
    plain, samples, facts = Header("JPEG", "RGB", False, 8, False, False), [], {}
    for at, (file, image) in enumerate(files.items()):
        sha256 = f"{at:064x}"
        facts[sha256] = measure_image(image, (headers or {}).get(file, plain), sha256)
        samples.append(Sample(file, Path(file), sha256, file.split("/")[0], None))
    groups = find_groups(samples, FactsTable(facts))
    names = defaultdict(set)
    for sample in samples:
        if sample.sha256 in groups:
            names[groups[sample.sha256]].add(sample.file)
    return list(names.values())


@pytest.mark.parametrize(("cells", "size"), [(6, 64), (12, 96), (64, 64), (160, 160)])
def test_frames_of_a_recording_are_one_group(cells: int, size: int) -> None:
    found = group(recordings(12, cells=cells, size=size))
    assert sorted(map(len, found)) == [12] * 4
    assert all(len({name.partition("_")[0] for name in names}) == 1 for names in found)


def test_crops_of_a_photograph_are_one_group() -> None:
    files, random = {}, np.random.default_rng(7)
    for number in range(12):
        photo = landscape(number)
        files[f"a/photo{number}.jpg"] = photo
        for crop in range(2):
            x, y = (int(each) for each in random.integers(0, (48, 36)))
            files[f"a/photo{number}_crop{crop}.jpg"] = photo.crop((x, y, x + 192, y + 144))
    found = group(files)
    assert len(found) == 12
    assert sum(map(len, found)) >= 34
    assert all(len({name.split("_")[0].split(".")[0] for name in names}) == 1 for names in found)


def test_images_of_one_camera_within_seconds_are_one_group_if_they_look_alike() -> None:
    alike, other = frames(1, 2), texture(9)
    files = {"a/x.jpg": alike[0], "a/q.jpg": alike[1], "a/k.jpg": Image.fromarray(other)}
    headers = {
        file: Header("JPEG", "RGB", False, 8, False, False, "K70", f"2024:05:06 10:00:0{second}")
        for file, second in zip(files, (1, 3, 4), strict=True)
    }
    assert group(files, headers) == [{"a/x.jpg", "a/q.jpg"}]
    assert group(files) == []


def test_unrelated_images_with_numbers_are_no_groups() -> None:
    drawn = {f"cat/cat.{at}.jpg": landscape(at) for at in range(300)}
    blocks = {f"dog/dog.{at}.jpg": Image.fromarray(texture(at, 6)) for at in range(300)}
    assert group(drawn | blocks) == []


def test_images_that_are_all_alike_are_no_groups() -> None:
    """X-rays, products on white: no two neighbours are more alike than any others."""
    common, random = texture(0, 8).astype(float), np.random.default_rng(1)
    files = {}
    for at in range(120):
        small = Image.fromarray(random.integers(0, 256, (8, 8, 3), dtype=np.uint8))
        own = np.asarray(small.resize((96, 96)))
        image = (common * 0.6 + own * 0.4).clip(0, 255).astype(np.uint8)
        files[f"{'ab'[at % 2]}/person{at // 4}_{at}.jpg"] = Image.fromarray(image)
    assert group(files) == []


def bring(files: Files, settings: Settings) -> None:
    images = ((file, encoded(image, "JPEG", quality=92)) for file, image in files.items())
    import_dataset("mine", incoming_from_uploads(images), settings)


def recording_of(sample: Sample) -> tuple[str, str]:
    return sample.label, sample.file.rpartition("/")[2].partition("_")[0]


def test_a_recording_stays_on_one_side_everywhere(settings: Settings) -> None:
    bring(recordings(8), settings)
    found = load_quality("mine", settings).by_kind["grouped"]
    assert [(len(finding.keys), finding.details) for finding in found] == [(8, "8 × undivided")] * 4
    dataset = load_dataset("mine", settings)
    train, val = split_samples(dataset)
    assert not {*map(recording_of, train)} & {*map(recording_of, val)}
    assert Counter(sample.label for sample in val) == {"left": 8, "right": 8}
    labels, groups = zip(*((s.label, duplicate_group(s)) for s in dataset.samples), strict=True)
    folds = assign_folds(labels, groups, 2, 0)
    assert len({*zip(map(recording_of, dataset.samples), folds, strict=True)}) == 4
    drawn = draw_stratified(dataset.samples, 20, 0)
    assert {*Counter(map(recording_of, drawn)).values()} == {8}
    words = describe_groups(train, val, 0.2)
    assert "2 groups in training, 2 in validation" in words
    assert "20% for validation cannot be kept: left has 50% (2 groups)" in words
    assert describe_groups([s for s in train if s.file.endswith("0.jpg")], []) == ""


def test_a_recording_in_two_splits_is_found_and_divided_again(settings: Settings) -> None:
    files = {
        f"{'val' if at % 4 == 0 else 'train'}/{file}": image
        for at, (file, image) in enumerate(recordings(8).items())
    }
    bring(files, settings)
    findings = load_quality("mine", settings).by_kind[RECORDING]
    assert [finding.details for finding in findings] == ["6 × train, 2 × val"] * 4
    state = divide_again("mine", settings)
    assert RECORDING not in load_quality("mine", settings).by_kind
    assert {sample.split for sample in state.included} == {"train", "val"}
    assert all(
        len({s.split for s in state.included if recording_of(s) == each}) == 1
        for each in {*map(recording_of, state.included)}
    )
    split_dataset("mine", SplitPlan(keep=False), settings)
    assert RECORDING not in load_quality("mine", settings).by_kind


@pytest.mark.parametrize("is_stored", [True, False])
def test_a_run_looks_at_images_that_were_not_scanned(
    is_stored: bool, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = recordings(6)
    if is_stored:
        bring(files, settings)
        for name in ("image_facts.jsonl", "image_groups.json"):
            (settings.datasets / "mine" / name).unlink(missing_ok=True)
        dataset = open_grouped("mine", settings)
    else:
        images = {file: encoded(image, "JPEG", quality=92) for file, image in files.items()}
        folder = str(write_folder(tmp_path / "in place", images))
        dataset = open_grouped(folder, settings)
        monkeypatch.setattr(quality_scan, "decode_image_with_header", None)
        assert open_grouped(folder, settings) == dataset  # its images are decoded once
    train, val = split_samples(dataset)
    assert (len(train), len(val)) == (12, 12)
    assert not {*map(recording_of, train)} & {*map(recording_of, val)}


def test_groups_are_found_once_and_again_when_images_come(settings: Settings) -> None:
    bring(recordings(6), settings)
    stored = settings.datasets / "mine" / "image_groups.json"
    assert len({sample.group for sample in load_dataset("mine", settings).samples}) == 4
    before = stored.read_bytes()
    exclude("mine", [load_dataset("mine", settings).samples[0].key], settings)
    assert len({sample.group for sample in load_dataset("mine", settings).samples}) == 4
    assert stored.read_bytes() == before
    more = [(f"left/rec9_frame{at}.jpg", encoded(image)) for at, image in enumerate(frames(99, 4))]
    add_to_dataset("mine", incoming_from_uploads(more), settings)
    stored.write_bytes(b"{")
    assert len({sample.group for sample in load_dataset("mine", settings).samples}) == 5
