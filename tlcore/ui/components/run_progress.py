"""How far a run is: one fraction over all its stages, with the time left, in words."""

from __future__ import annotations

import time

from tlcore.training.history import STAGES, Progress, Stage
from tlcore.training.run import Run
from tlcore.training.status import QUEUED
from tlcore.ui.format import duration, plural

PACE_FROM = 1.0  # s of progress after which the time left is estimated
JUST_STARTED = 3.0  # s within which a process begins, if it need not wait
# Work for one image relative to one pass through the backbone, as measured with MobileNetV2.
RELATIVE_WORK = {"features": 1.0, "head": 0.005, "fine-tune": 0.5}


def describe_progress(run: Run, before: int = 0) -> tuple[float, str]:
    """Return how much of a whole run is done, 0…1, and in words: stage, epoch and time left.

    ``before``: how many runs a queued run has to wait for.
    """
    stage, progress = run.stage, run.progress
    if run.info.status == QUEUED:
        has_to_wait = time.time() - run.info.created >= JUST_STARTED
        if not has_to_wait:
            return 0.0, "Starting …"
        return 0.0, f"Queued: {plural(max(1, before), 'run')} before this one …"
    if stage is None:
        return 0.0, "Starting: reading the images …"
    steps_done = 0
    if progress is not None and progress.time >= stage.time:
        steps_done = min(progress.done, stage.steps)
    work, done = _work(run), _done(run, stage, steps_done)
    fraction = sum(work[name] * done[name] for name in work) / (sum(work.values()) or 1.0)
    words = [STAGES[stage.stage], *_position(run, stage, steps_done), f"{fraction:.0%}"]
    left = _seconds_left(run, stage, steps_done, work)
    if left is not None:
        words.append(f"about {approximate(left)} left")
    return fraction, " · ".join(words) + ("" if steps_done else " …")


def approximate(seconds: float) -> str:
    """Return an estimated time in whole seconds: "3 s", "2 min 5 s"."""
    return duration(seconds) if seconds >= 9.95 else f"{max(1, round(seconds))} s"


def _work(run: Run) -> dict[str, float]:
    """Return the work of each stage of a run, in passes of an image through the backbone."""
    config, images = run.info.config, run.info.images.get("train", 0)
    in_pass = float(config.on_the_fly_augmentation)
    features = _features(run)
    return {
        "features": float(features.steps if features else 0),
        "head": config.epochs * images * (RELATIVE_WORK["head"] + in_pass),
        "fine-tune": config.fine_tune_epochs * images * (RELATIVE_WORK["fine-tune"] + in_pass),
    }


def _features(run: Run) -> Stage | None:
    """Return the first stage of features: that of a resumed run finds them in the cache."""
    return next((e for e in run.events if isinstance(e, Stage) and e.stage == "features"), None)


def _done(run: Run, stage: Stage, steps_done: int) -> dict[str, float]:
    """Return how much of each stage is done, 0…1; a resumed run keeps its epochs."""
    config, order = run.info.config, list(RELATIVE_WORK)
    begun = {event.stage for event in run.events if isinstance(event, Stage)}
    done = {"features": float(begun != {"features"})}  # a resumed run has them in the cache
    for name, planned in (("head", config.epochs), ("fine-tune", config.fine_tune_epochs)):
        done[name] = sum(epoch.stage == name for epoch in run.history) / (planned or 1)
    done |= dict.fromkeys(order[: order.index(stage.stage)], 1.0)
    done[stage.stage] = max(done[stage.stage], steps_done / (stage.steps or 1))
    return done


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


def _seconds_left(run: Run, stage: Stage, steps_done: int, work: dict[str, float]) -> float | None:
    """Estimate the rest of the run; None while nothing is measured that tells it."""
    pace, order, features = _pace(run, stage), list(work), _features(run)
    if pace is None or steps_done >= stage.steps:
        return None
    later = sum(work[name] for name in order[order.index(stage.stage) + 1 :])
    passes = _pace(run, features) if features else None
    if later and passes is None:
        return None
    return (stage.steps - steps_done) / pace + (later / passes if passes else 0.0)


def _pace(run: Run, stage: Stage) -> float | None:
    """Return the steps a second of a stage, or None before that can be estimated.

    It counts from the first sign of progress: before it the backbone is loaded and traced.
    """
    steps = (e for e in run.events if isinstance(e, Progress) and e.stage == stage.stage)
    signs = [event for event in steps if event.time >= stage.time and event.done]
    if not signs or signs[-1].time - signs[0].time < PACE_FROM:
        return None
    return (signs[-1].done - signs[0].done) / (signs[-1].time - signs[0].time)
