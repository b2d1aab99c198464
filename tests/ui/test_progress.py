"""How far a run is: one fraction over all stages, epoch and time left, resumed or not."""

from __future__ import annotations

from pathlib import Path

import pytest

from tlcore.training.config import RunConfig
from tlcore.training.history import Epoch, Event, Progress, Stage
from tlcore.training.run import Run, RunInfo
from tlcore.training.status import RUNNING
from tlcore.ui.components.run_progress import describe_progress

BOTH = RunConfig("set", epochs=10, fine_tune_epochs=5)
HEAD = RunConfig("set", epochs=10)
TUNE = RunConfig("set", epochs=0, fine_tune_epochs=5)
# With 100 training images: 120 passes for features, 5 for the head, 500 for fine-tuning.
WHOLE = 120 + 5 + 500


def run(*events: Event, config: RunConfig) -> Run:
    images = {"train": 100, "val": 20}
    info = RunInfo("id", Path(), RUNNING, config, 0.0, None, None, "", images=images)
    return Run(info, events, ("a", "b"))


def epochs(stage: str, number: int, first: int = 1) -> list[Event]:
    return [Epoch(first + n, stage, 0.5, 0.8, 0.5, 0.8, 1.0, time=20.0) for n in range(number)]


FEATURES = (
    Stage("features", 120, time=0.0),
    Progress("features", 12, time=7.0),
    Progress("features", 120, time=10.0),  # 36 images a second since the first ones
)
HEAD_DONE = (*FEATURES, Stage("head", 100, time=10.0), *epochs("head", 10))
CASES = {
    "the backbone is loaded": (
        BOTH, (Stage("features", 120, time=0.0), Progress("features", 0, time=6.0)),
        0.0, "Computing bottleneck features · 0% …",
    ),
    # the 7 s before the first images do not count
    "features of a head": (
        HEAD, (Stage("features", 120, time=0.0), Progress("features", 16, time=7.0),
               Progress("features", 40, time=10.0)),
        40 / 125, "40 of 120 images · 32% · about 13 s left",  # 2 s to save the model
    ),
    "head": (
        HEAD, (*FEATURES, Stage("head", 100, time=10.0), *epochs("head", 2),
               Progress("head", 5, time=15.0), Progress("head", 20, time=30.0)),
        (120 + 1) / 125, "Training the head · epoch 3 of 10 · 80% validation accuracy · 97% · "
        "about 1 min 22 s left",
    ),
    "features again of a resumed run": (
        BOTH, (*FEATURES, Stage("head", 100, time=10.0), *epochs("head", 4),
               Stage("features", 0, time=99.0)),
        # It does not go back, and knows what an epoch took; 36 images a second were the features.
        (120 + 2) / WHOLE, "Computing bottleneck features · 20% · "
        f"about {round(6 + 4 + 500 / 36 + 2)} s left …",
    ),
    # 8 of 10 epochs were done before; two steps took 4 s, 17 are left, and the validation
    "head of a resumed run": (
        HEAD, (*FEATURES, Stage("head", 100, time=10.0), *epochs("head", 8),
               Stage("features", 0, time=90.0), Stage("head", 100, time=100.0),
               Progress("head", 81, time=102.0), Progress("head", 83, time=106.0)),
        (120 + (0.8 + 0.03 * 0.85) * 5) / 125, "about 37 s left",
    ),
    "fine-tuning": (
        BOTH, (*HEAD_DONE, Stage("fine-tune", 50, time=20.0),
               Progress("fine-tune", 1, time=21.0), Progress("fine-tune", 5, time=25.0)),
        (125 + 0.085 * 500) / WHOLE,
        "epoch 11 of 15 · 80% validation accuracy · 27% · about 48 s left",
    ),
    "fine-tuning of a resumed run": (  # an epoch took 1 s
        BOTH, (*HEAD_DONE, Stage("fine-tune", 50, time=20.0), *epochs("fine-tune", 2, 11),
               Stage("features", 0, time=90.0), Stage("fine-tune", 50, time=99.0)),
        (125 + 200) / WHOLE, "about 5 s left …",
    ),
    "an epoch that was interrupted": (  # its 4 steps are repeated; the bar waits for them
        BOTH, (*HEAD_DONE, Stage("fine-tune", 50, time=20.0), *epochs("fine-tune", 2, 11),
               Progress("fine-tune", 24, time=30.0), Stage("features", 0, time=90.0)),
        (125 + 500 * (0.4 + 0.08 * 0.85)) / WHOLE, "about 5 s left …",
    ),
    "after the last epoch": (
        BOTH, (*HEAD_DONE, Stage("fine-tune", 50, time=20.0), *epochs("fine-tune", 5, 11),
               Progress("fine-tune", 50, time=30.0)),
        1.0, "80% validation accuracy · 100% · saving the model …",
    ),
    "the network is converted": (
        BOTH, (), 0.0, "Preparing the network: half a minute the first time, then a few seconds …",
    ),
    "fine-tuning alone": (
        TUNE, (Stage("features", 0, time=0.0), Stage("fine-tune", 50, time=20.0)),
        0.0, "Fine-tuning the top blocks · epoch 1 of 5 · 0% …",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_fraction_position_and_time_left(case: str) -> None:
    config, events, fraction, words = CASES[case]
    found, said = describe_progress(run(*events, config=config))
    assert found == pytest.approx(fraction)
    assert said.endswith(words)


def test_the_time_left_holds_later_stages_too() -> None:
    """8 images a second: 80 images and the 5 + 500 passes after them; tracing, and saving."""
    progress = (Progress("features", 16, time=7.0), Progress("features", 40, time=10.0))
    _, words = describe_progress(run(Stage("features", 120, time=0.0), *progress, config=BOTH))
    assert words.endswith(f"about 1 min {round((80 + 505) / 8 + 4 + 2) - 60} s left")


def test_the_fraction_never_falls() -> None:
    events = [*HEAD_DONE, Stage("fine-tune", 50, time=20.0), Progress("fine-tune", 25, time=30.0)]
    fractions = [
        describe_progress(run(*events[:end], config=BOTH))[0] for end in range(1, len(events) + 1)
    ]
    assert fractions == sorted(fractions)
