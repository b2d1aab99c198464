"""b. The top blocks: the tutorial's ten epochs from layer 100 on, and our stage 3."""

from __future__ import annotations

import sys
from pathlib import Path

import keras

from tests.benchmarks import ours, tutorial
from tlcore.training.config import RunConfig

FROM = 100  # the tutorial's first unfrozen layer


def main(folder: Path) -> None:
    keras.utils.set_random_seed(0)
    with ours.empty_home() as settings:
        parts = tutorial.datasets(folder)
        network, base = tutorial.model(parts[2], settings)
        tutorial.fit(network, parts, keras.optimizers.Adam(1e-4), 10)
        base.trainable = True
        for layer in base.layers[:FROM]:
            layer.trainable = False
        history, clock = tutorial.fit(network, parts, keras.optimizers.RMSprop(1e-5), 10)
        plain, goal = clock.ends[-1], max(history["val_accuracy"])
        config = RunConfig(
            str(folder.resolve()),
            size=tutorial.SIZE,
            epochs=10,
            fine_tune_epochs=10,
            batch_size=tutorial.BATCH,
            unfreeze_from=base.layers[FROM].name,
            fine_tune_learning_rate=5e-5,
        )
        took = ours.run(config, settings)
    tuned = [epoch for epoch in took.history if epoch.stage == "fine-tune"]
    reached = next((place for place, e in enumerate(tuned, 1) if e.val_accuracy >= goal), None)
    all_before = took.seconds - sum(epoch.seconds for epoch in tuned)  # features, head, saving
    epoch = sorted(e.seconds for e in tuned)[len(tuned) // 2]
    plain_epoch = sorted(
        end - start for start, end in zip([0.0, *clock.ends], clock.ends, strict=False)
    )[5]
    said = f"ours   {plain_epoch / epoch:.1f} × an epoch ({epoch:.2f} s), validation "
    said += f"{max(e.val_accuracy for e in tuned):.4f}"
    if reached:
        stage = sum(e.seconds for e in tuned[:reached])
        said += (
            f"; the tutorial's {goal:.4f} after {reached} epochs: {stage:.1f} s, "
            f"{plain / stage:.1f} ×; with features and head {all_before + stage:.1f} s, "
            f"{plain / (all_before + stage):.1f} ×"
        )
    sys.stdout.write(f"tutorial {plain:.1f} s, {plain_epoch:.2f} s an epoch, {goal:.4f}\n{said}\n")


if __name__ == "__main__":
    main(ours.folder_argument(__doc__))
