"""What is refused before anything is computed: it would fail, or learn nothing, minutes later."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tlcore.datasets.dataset import Dataset, Sample
from tlcore.datasets.splits import check_class_names, split_samples
from tlcore.errors import BadDataset
from tlcore.models.catalogue import backbone
from tlcore.training.config import RunConfig


def check_recipe(config: RunConfig, dataset: Dataset) -> None:
    """Refuse a run that cannot be trained, before there is one.

    Only a layer to unfreeze from that is none of the backbone's ``blocks`` has to be looked for
    in the network, which loads TensorFlow.

    Raises:
        BadDataset: a part or a class has no pictures, or a class has the name of a split.
        UnknownName: the network has no layer of that name to unfreeze from.
    """
    check_class_names(dataset)
    check_parts(*split_samples(dataset, config.val_fraction, config.seed))
    row = backbone(config.backbone)
    if config.fine_tune_epochs and config.unfreeze_from not in (row.unfreeze_from, *row.blocks):
        from tlcore.models.build import architecture
        from tlcore.models.freeze import cut_below

        imagenet = not config.random_weights
        base = architecture(row, config.size, top=False, imagenet=imagenet)
        cut_below(base, config.unfreeze_from)


def check_parts(train: Sequence[Sample], val: Sequence[Sample]) -> None:
    """Refuse a division with nothing in a part.

    Raises:
        BadDataset: no picture to learn from, or none to judge by.
    """
    for name, samples in (("training", train), ("validation", val)):
        if not samples:
            raise nothing_for(name)


def nothing_for(part: str) -> BadDataset:
    return BadDataset(
        f"Expected pictures for {part}. Received none that can be read. Add pictures: each "
        "class needs at least two, one to train on and one to judge by."
    )


def check_classes(classes: Iterable[str], readable: Sequence[Sample]) -> None:
    """Refuse to learn with a class of which no picture is left.

    Raises:
        BadDataset: naming such classes.
    """
    empty = sorted(set(classes) - {sample.label for sample in readable})
    if empty:
        raise BadDataset(
            f"Expected a picture to learn from in every class. Received none that can be read of "
            f"{', '.join(empty)}. Add pictures, or leave the class out."
        )
