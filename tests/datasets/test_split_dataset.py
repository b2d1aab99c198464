"""A stored division: its shares, its seed, copies on one side, what was given kept."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.datasets.files import encoded, jpeg, scene
from tlcore.datasets.edits import undo_edit
from tlcore.datasets.importing import import_dataset
from tlcore.datasets.quality_scan import load_quality
from tlcore.datasets.sources import incoming_from_uploads
from tlcore.datasets.splits import SplitPlan, remove_splits, split_dataset, split_samples
from tlcore.datasets.store import DatasetState, load_dataset, load_state
from tlcore.errors import BadConfig
from tlcore.settings import Settings


def parts(state: DatasetState) -> dict[tuple[str, str | None], int]:
    return dict(Counter((item.label, item.split) for item in state.included))


@pytest.fixture
def mine(settings: Settings) -> str:
    files = [(f"{'ab'[i % 2]}/{i}.jpg", encoded(scene(i, 160, 120), "JPEG")) for i in range(60)]
    for i in range(0, 20, 2):  # near copies, half the size
        small = scene(i, 160, 120).resize((80, 60))
        files.append((f"a/small-{i}.jpg", encoded(small, "JPEG", quality=90)))
    import_dataset("mine", incoming_from_uploads(files), settings)
    return "mine"


def test_each_class_gives_its_shares(mine: str, settings: Settings) -> None:
    assert parts(split_dataset(mine, SplitPlan(0.2, 0.1, 3), settings)) == {
        ("a", "train"): 28, ("a", "val"): 8, ("a", "test"): 4,
        ("b", "train"): 21, ("b", "val"): 6, ("b", "test"): 3,
    }  # fmt: skip


@pytest.mark.parametrize("seed", range(2))
def test_copies_stay_on_one_side(seed: int, mine: str, settings: Settings) -> None:
    state = split_dataset(mine, SplitPlan(0.3, 0.2, seed), settings)
    groups = load_quality(mine, settings).groups
    assert len(groups) == 10
    for group in groups:
        assert len({state.by_key[key].split for key in group}) == 1
    assert "leak" not in load_quality(mine, settings).by_kind


def test_the_seed_decides_and_the_division_is_stored(mine: str, settings: Settings) -> None:
    one = load_after(mine, SplitPlan(seed=1), settings)
    two = load_after(mine, SplitPlan(seed=2, keep=False), settings)
    again = load_after(mine, SplitPlan(seed=1, keep=False), settings)
    assert one == again != two
    undo_edit(mine, settings)
    assert splits(mine, settings) == two


def load_after(name: str, division: SplitPlan, settings: Settings) -> dict[str, str | None]:
    split_dataset(name, division, settings)
    return splits(name, settings)


def splits(name: str, settings: Settings) -> dict[str, str | None]:
    return {sample.file: sample.split for sample in load_dataset(name, settings).samples}


def test_a_split_given_by_folders_is_kept_and_its_copies_follow(settings: Settings) -> None:
    files = [(f"val/a/{i}.jpg", jpeg(i)) for i in range(5)]
    files += [(f"train/a/{i}.jpg", jpeg(i)) for i in range(10, 30)]
    import_dataset("mine", incoming_from_uploads(files), settings)
    before = splits("mine", settings)
    assert splits("mine", settings) == load_after("mine", SplitPlan(), settings) == before
    more = [(f"a/copy-{i}.jpg", jpeg(i)) for i in range(3)]
    more += [(f"a/{i}.jpg", jpeg(i)) for i in range(40, 45)]
    import_dataset("other", incoming_from_uploads([*files, *more]), settings)
    after = load_after("other", SplitPlan(), settings)
    assert all(after[file] == part for file, part in before.items())
    assert {after[f"a/copy-{i}.jpg"] for i in range(3)} == {"val"}


def test_the_test_part_is_in_neither_side_of_a_run(mine: str, settings: Settings) -> None:
    split_dataset(mine, SplitPlan(0.2, 0.2), settings)
    dataset = load_dataset(mine, settings)
    used = {sample.sha256 for side in split_samples(dataset) for sample in side}
    test = {sample.sha256 for sample in dataset.samples if sample.split == "test"}
    assert test
    assert not used & test
    assert used | test == {sample.sha256 for sample in dataset.samples}


def test_it_can_be_forgotten(mine: str, settings: Settings) -> None:
    split_dataset(mine, SplitPlan(), settings)
    assert {item.split for item in remove_splits(mine, settings).included} == {None}
    assert load_state(mine, settings).edits[-1].description == "remove the splits"


@pytest.mark.parametrize(("val", "test"), [(0, 0), (1, 0), (0.5, 0.5), (0.2, -0.1)])
def test_shares_that_leave_nothing_are_refused(val: float, test: float) -> None:
    with pytest.raises(BadConfig, match="Expected shares"):
        SplitPlan(val, test)
