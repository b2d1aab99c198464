"""Where a run is, in words: its stage, its speed and the time left, resumed or not."""

from __future__ import annotations

from pathlib import Path

import pytest

from tlcore.training.config import RunConfig
from tlcore.training.history import Epoch, Event, Progress, Stage
from tlcore.training.run import Run, RunInfo
from tlcore.training.status import RUNNING
from tlcore.ui.fine_tune.run import how_far

BOTH = RunConfig("set", epochs=10, fine_tune_epochs=5)


def run(*events: Event, config: RunConfig = BOTH) -> Run:
    info = RunInfo("id", Path(), RUNNING, config, 0.0, None, None, "")
    return Run(info, events, ("a", "b"), {"train": 100, "val": 20})


def epochs(stage: str, count: int, first: int, until: float, seconds: float = 1.0) -> list[Event]:
    """So many epochs, a second each, the last of which ends at ``until``."""
    return [
        Epoch(first + n, stage, 0.5, 0.8, 0.5, 0.8, seconds, time=until - count + 1 + n)
        for n in range(count)
    ]


FEATURES = (Stage("features", 120, time=0.0), Progress("features", 120, time=10.0))
LOADING = (Stage("features", 120, time=0.0), Progress("features", 0, time=6.0))
CASES = {
    "the network is loaded": (LOADING, 0.0, "1 of 3", "Computing bottleneck features …"),
    "the first images": ((*LOADING, Progress("features", 12, time=7.0)), 0.1, "1 of 3",
                           "features · 10%"),
    # the 7 s before the first images do not count: 8 images a second since then
    "features": ((*LOADING, Progress("features", 16, time=7.0),
                  Progress("features", 40, time=10.0)),
                 1 / 3, "1 of 3", "8 images a second · 33% · about 10 s left"),
    "features of a resumed run": ((*FEATURES, Stage("head", 100, time=10.0),
                                   *epochs("head", 3, 1, 13.0),
                                   Stage("features", 0, time=99.0)),
                                  0.0, "1 of 3", "Computing bottleneck features …"),
    "head": ((*FEATURES, Stage("head", 100, time=10.0), *epochs("head", 2, 1, 30.0),
              Progress("head", 5, time=15.0), Progress("head", 20, time=30.0)),
             0.2, "2 of 3", "100 images a second · 20% · about 1 min 20 s left"),
    # 8 of 10 epochs were done before; two steps took 4 s, 17 are left
    "head of a resumed run": ((*FEATURES, Stage("head", 100, time=10.0),
                               *epochs("head", 8, 1, 30.0), Stage("features", 0, time=90.0),
                               Stage("head", 100, time=100.0), Progress("head", 81, time=102.0),
                               Progress("head", 83, time=106.0)),
                              0.83, "2 of 3", "83% · about 34 s left"),
    "the first epoch of the top blocks": ((*FEATURES, Stage("head", 100, time=10.0),
                                           *epochs("head", 10, 1, 20.0),
                                           Stage("fine-tune", 50, time=20.0),
                                           Progress("fine-tune", 1, time=21.0),
                                           Progress("fine-tune", 5, time=25.0)),
                                          0.1, "3 of 3", "blocks · 10% · about 45 s left"),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_stage_speed_and_time_left(case: str) -> None:
    events, share, which, words = CASES[case]
    found, said = how_far(run(*events))
    assert found == pytest.approx(share)
    assert said.startswith(f"{which} · ")
    assert said.endswith(words)


def test_a_run_of_the_top_blocks_alone_has_two_stages() -> None:
    config = RunConfig("set", epochs=0, fine_tune_epochs=5)
    events = (*FEATURES, Stage("fine-tune", 50, time=20.0))
    assert how_far(run(*events, config=config))[1].startswith("2 of 2 · Fine-tuning")
