"""How far a run is: one fraction over all its stages, with the time left, in words."""

from __future__ import annotations

from collections import Counter

from tlcore.settings import Settings
from tlcore.training.history import STAGES, Progress, Stage
from tlcore.training.run import Run
from tlcore.training.status import QUEUED, RUNNING
from tlcore.training.store import list_runs
from tlcore.ui.format import duration, plural

PACE_FROM = 1.0  # s of progress after which the time left is estimated
# Work for one image relative to one pass through the backbone, as measured with MobileNetV2.
RELATIVE_WORK = {"features": 1.0, "head": 0.005, "fine-tune": 1.0}
TRAINING = 0.85  # share of an epoch's time in which it learns; the rest is validation
TRACING, SAVING = 4.0, 2.0  # s until the top blocks are traced, and until the model is saved


def describe_progress(run: Run, before: int = 0) -> tuple[float, str]:
    """Return how much of a whole run is done, 0…1, and in words: stage, epoch and time left.

    ``before``: how many runs a queued run has to wait for.
    """
    stage, progress, work, done = run.stage, run.progress, _work(run), _done(run)
    fraction = sum(work[name] * done[name] for name in work) / (sum(work.values()) or 1.0)
    if run.info.status == QUEUED:
        waits = f"Queued: {plural(before, 'run')} before this one …"
        return fraction, waits if before else "Starting …"
    if stage is None and not run.classes:
        return 0.0, "Starting: reading the images …"
    if stage is None:
        return 0.0, "Preparing the network: half a minute the first time, then a few seconds …"
    steps_done = 0
    if progress is not None and progress.time >= stage.time:
        steps_done = min(progress.done, stage.steps)
    words = [STAGES[stage.stage], *_position(run, stage, steps_done), f"{fraction:.0%}"]
    left = _seconds_left(run, work, done)
    if left:
        words.append(f"about {approximate(left)} left")
    elif left is not None:
        words.append("saving the model")
    return fraction, " · ".join(words) + ("" if steps_done and left != 0 else " …")


def count_runs_before(run: str, settings: Settings) -> int:
    """Return how many runs a queued run waits for: those that train, and those queued earlier."""
    others = [info for info in list_runs(settings) if info.active and info.id != run]
    return sum(info.status == RUNNING or info.id < run for info in others)


def approximate(seconds: float) -> str:
    """Return an estimated time in whole seconds: "3 s", "2 min 5 s"."""
    return duration(seconds) if seconds >= 9.95 else f"{max(1, round(seconds))} s"


def _work(run: Run) -> dict[str, float]:
    """Return the work of each stage of a run, in passes of an image through the backbone."""
    images, in_pass = run.info.images.get("train", 0), run.info.config.on_the_fly_augmentation
    # The first stage of features: that of a resumed run finds them in the cache.
    stages = (event for event in run.events if isinstance(event, Stage))
    features = next((event.steps for event in stages if event.stage == "features"), 0)
    epochs = _planned(run).items()
    work = {name: planned * images * (RELATIVE_WORK[name] + in_pass) for name, planned in epochs}
    return {"features": float(features)} | work


def _planned(run: Run) -> dict[str, int]:
    """Return the epochs of each stage that has some."""
    return {"head": run.info.config.epochs, "fine-tune": run.info.config.fine_tune_epochs}


def _done(run: Run) -> dict[str, float]:
    """Return how much of each stage is done, 0…1. An epoch that a stop has interrupted counts as
    far as it had come: it is repeated, and the bar does not go back."""
    begun = [event for event in run.events if isinstance(event, Stage)]
    steps: dict[str, int] = {event.stage: event.steps for event in begun if event.steps}
    progress, planned, done = Counter[str](), _planned(run), dict[str, float]()
    for event in run.events:
        if isinstance(event, Progress):
            progress[event.stage] = max(progress[event.stage], event.done)
    for name in RELATIVE_WORK:
        ended = sum(epoch.stage == name for epoch in run.history) / (planned.get(name) or 1)
        more = max(min(progress[name] / steps.get(name, 1), 1.0) - ended, 0.0)
        done[name] = ended + more * (1.0 if name == "features" else TRAINING)
    order = list(RELATIVE_WORK)
    last = max((order.index(event.stage) for event in begun), default=0)
    return done | dict.fromkeys(order[:last], 1.0)


def _position(run: Run, stage: Stage, steps_done: int) -> list[str]:
    """Return where a stage is: ["epoch 12 of 14", "96% validation accuracy"]."""
    config, history = run.info.config, run.history
    if stage.stage == "features":
        return [f"{steps_done:,} of {plural(stage.steps, 'image')}"] if steps_done else []
    epochs = config.epochs + config.fine_tune_epochs
    words = [f"epoch {min(len(history) + 1, epochs)} of {epochs}"]
    if history:
        words.append(f"{history[-1].val_accuracy:.0%} validation accuracy")
    return words


def _seconds_left(run: Run, work: dict[str, float], done: dict[str, float]) -> float | None:
    """Estimate the rest of the run, 0 after its last epoch; None while nothing tells it.

    A stage that has no pace yet goes on at that of the features.
    """
    begun = {event.stage for event in run.events if isinstance(event, Stage)}
    left = 0.0
    for name in (name for name in work if work[name] * (1 - done[name]) > 0):
        pace = _pace(run, name, work) or _pace(run, "features", work)
        if pace is None:
            return None
        left += work[name] * (1 - done[name]) / pace
        left += TRACING if name == "fine-tune" not in begun else 0.0
    return left + SAVING if left else 0.0


def _pace(run: Run, name: str, work: dict[str, float]) -> float | None:
    """Return the work a second of a stage, as it goes on now, or as its last epoch went before the
    run was resumed; None before that can be estimated.

    It counts from the first sign of progress: before it the backbone is loaded and traced.
    """
    begun = [event for event in run.events if isinstance(event, Stage) and event.stage == name]
    stage = next((event for event in reversed(begun) if event.steps), None)
    if stage is None:
        return None
    steps = (e for e in run.events if isinstance(e, Progress) and e.stage == name)
    signs = [event for event in steps if event.time >= stage.time and event.done]
    seconds = signs[-1].time - signs[0].time if signs else 0.0
    if seconds >= PACE_FROM:
        return (signs[-1].done - signs[0].done) * work[name] / stage.steps / seconds
    epochs = [epoch for epoch in run.history if epoch.stage == name]
    return work[name] / _planned(run)[name] / epochs[-1].seconds if epochs else None
