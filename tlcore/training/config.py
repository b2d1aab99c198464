"""The configuration of a training run and the one table of its options.

``RunConfig`` has the name, type and default of every option. ``OPTIONS`` describes each of them
once: label, help, choices or range. The form, the command line, the check of a configuration and
the recipe in a report all read that table.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import msgspec

from tlcore import migration
from tlcore.datasets.dataset import Dataset, Sample
from tlcore.datasets.geometry import FITS
from tlcore.datasets.splits import check_class_names, split_samples
from tlcore.errors import BadConfig, BadDataset, DamagedFile, UnknownName
from tlcore.models.catalog import DEFAULT, get_backbone
from tlcore.storage import read_json
from tlcore.text import natural_key

Choices = Mapping[str, str]  # value → what it means, one sentence for a person
POOLINGS: Choices = {
    "avg": "average of each feature map",
    "max": "maximum of each feature map",
    "flatten": "no pooling, all values",
}
ACTIVATIONS: Choices = {
    "sigmoid": "one sigmoid unit for two classes, a softmax for more",
    "softmax": "a softmax with a unit for each class",
}
OPTIMIZERS: Choices = {
    "adam": "Adam: each weight has a step size of its own; a safe choice",
    "rmsprop": "RMSprop: like Adam without momentum, used by older guides",
    "sgd": "SGD with momentum 0.9: one step size for all; needs a higher learning rate",
}
SCHEDULES: Choices = {
    "constant": "the same learning rate throughout",
    "cosine": "falls to zero along a cosine in each stage",
}
CLASS_WEIGHTS: Choices = {
    "none": "every image counts the same",
    "balanced": "every class counts the same: images of rare classes weigh more",
    "oversampling": "every class is drawn equally often: images of rare classes are repeated",
}
AUGMENTATIONS: Choices = {
    "flip": "mirrored left to right, every second time",
    "shift": "shifted by up to a tenth, enlarged by up to a fifth",
    "rotate": "rotated by up to 15 degrees",
    "light": "brightness and contrast changed by up to a fifth",
}
MAX_EPOCHS = 1000
MAX_HIDDEN_LAYERS = 4
MAX_COPIES = 32
MAX_FINE_TUNE_RATIO = 0.1  # of fine-tuning's learning rate to the head's
MAX_DEFAULT_FINE_TUNE_RATE = 1e-4  # more than this harms pretrained layers


def default_fine_tune_rate(learning_rate: float) -> float:
    """Return the learning rate of fine-tuning where none is chosen: a twentieth of the head's,
    at most ``MAX_DEFAULT_FINE_TUNE_RATE``."""
    return min(learning_rate / 20, MAX_DEFAULT_FINE_TUNE_RATE)


@dataclass(frozen=True)
class RunConfig:
    """The options of one run, checked when made. ``OPTIONS`` says what each means.

    ``size`` 0 and ``unfreeze_from`` "" are replaced by the backbone's own,
    ``fine_tune_learning_rate`` 0 by ``default_fine_tune_rate``.

    Raises:
        BadConfig: a number is out of its range, or two options exclude each other.
        UnknownName: the backbone or a choice does not exist.
    """

    dataset: str  # name of a stored dataset, or absolute path of a folder of class folders
    backbone: str = DEFAULT
    size: int = 0  # side of the input, pixels
    fit: str = "crop"
    pooling: str = "avg"
    epochs: int = 10
    fine_tune_epochs: int = 0
    unfreeze_from: str = ""
    batch_size: int = 16
    learning_rate: float = 1e-3
    fine_tune_learning_rate: float = 0.0
    dropout: float = 0.0
    validation_split: float = 0.2
    seed: int = 0
    random_weights: bool = False
    hidden_units: tuple[int, ...] = ()
    classifier_activation: str = "sigmoid"
    label_smoothing: float = 0.0
    class_weights: str = "none"
    optimizer: str = "adam"
    learning_rate_schedule: str = "constant"
    patience: int = 0
    augmentations: tuple[str, ...] = tuple(AUGMENTATIONS)
    augmented_copies: int = 0
    on_the_fly_augmentation: bool = False

    def __post_init__(self) -> None:
        row = get_backbone(self.backbone)
        rate = self.fine_tune_learning_rate or default_fine_tune_rate(self.learning_rate)
        vars(self).update(  # frozen for everyone but its own making
            size=row.check_size(self.size or row.size, top=False),
            unfreeze_from=self.unfreeze_from or row.unfreeze_from,
            fine_tune_learning_rate=rate,
            hidden_units=tuple(self.hidden_units),
            augmentations=tuple(self.augmentations),
        )
        for option in OPTIONS.values():
            option.check(getattr(self, option.name))
        _check_range("epochs in all", self.epochs + self.fine_tune_epochs, 1, 2 * MAX_EPOCHS)
        most = self.learning_rate * MAX_FINE_TUNE_RATIO
        name = OPTIONS["fine_tune_learning_rate"].label
        _check_range(name, self.fine_tune_learning_rate, 0, most * (1 + 1e-9))
        _check_range("layers of hidden units", len(self.hidden_units), 0, MAX_HIDDEN_LAYERS)
        if self.augmented_copies and self.on_the_fly_augmentation:
            raise BadConfig(
                "Expected augmented copies or on-the-fly augmentation. Received both. Choose one "
                "of them."
            )
        if (self.augmented_copies or self.on_the_fly_augmentation) and not self.augmentations:
            raise BadConfig(
                f"Expected a kind of augmentation ({', '.join(AUGMENTATIONS)}). Received none. "
                "Choose one, or switch augmentation off."
            )

    def to_json(self) -> dict[str, Any]:
        """Return all options as plain values, for config.json."""
        return dataclasses.asdict(self)


Kind = Literal["int", "float", "bool", "text", "choice", "ints", "choices"]


@dataclass(frozen=True)
class Option:
    """One training option: how pages, the command line and reports name and check it."""

    name: str  # of the field of RunConfig
    label: str  # as a page shows it
    help: str  # one or two sentences for a person
    kind: Kind  # "ints" and "choices" are tuples
    choices: Choices = field(default_factory=dict)  # of "choice" and "choices"
    low: float = 0  # range of a number, both ends allowed
    high: float = 0
    advanced: bool = True  # folded away on the page
    needs: tuple[str, ...] = ()  # it has an effect only where one of these options is set

    @property
    def flag(self) -> str:
        """The option on the command line: "--batch-size"."""
        return f"--{self.name.replace('_', '-')}"

    @property
    def default(self) -> Any:
        """The default of ``RunConfig``; 0 and "" may stand for the backbone's own."""
        return RunConfig.__dataclass_fields__[self.name].default

    @property
    def explanation(self) -> str:
        """The help with all choices and the default, for a tooltip."""
        choices = [f"{value}: {meaning.rstrip('.')}." for value, meaning in self.choices.items()]
        given = self.default
        if isinstance(given, tuple):
            given = ", ".join(given or ["none"])
        elif not isinstance(given, str):
            given = "off" if given is False else f"{given:g}"
        default = [] if "Default:" in self.help else [f"Default: {given}."]
        return " ".join([self.help, *choices, *default])

    def check(self, value: Any) -> None:
        """Refuse a value outside the range or the choices.

        Raises:
            BadConfig: the number is out of its range.
            UnknownName: there is no such choice.
        """
        for each in value if self.kind in ("ints", "choices") else (value,):
            if self.choices and each not in self.choices:
                raise UnknownName.of(f"value of {self.label}", each, self.choices)
            if self.high:
                _check_range(self.label, each, self.low, self.high)


_FINE_TUNING = ("fine_tune_epochs",)
_AUGMENTATION = ("augmented_copies", "on_the_fly_augmentation")
_TABLE = (
    Option("epochs", "Epochs", "Passes through all training images while the backbone is frozen: "
           "more where the curves still rise. 0: no training of the head alone.", "int",
           high=MAX_EPOCHS, advanced=False),
    Option("size", "Input size", "Side of the square input in pixels: smaller is faster, larger "
           "shows more detail. Default: the backbone's own.", "int", advanced=False),
    Option("fine_tune_epochs", "Fine-tuning epochs", "Epochs after that with the top blocks "
           "unfrozen, where your images are unlike ImageNet's; BatchNormalization stays frozen. "
           "0: the head alone.", "int",
           high=MAX_EPOCHS, advanced=False),
    Option("fine_tune_learning_rate", "Fine-tuning learning rate", "Step size after "
           "unfreezing: lower where accuracy falls. 0 or empty: a twentieth of the head's, at "
           "most 1e-4. Never more than a tenth: pretrained features would be lost.",
           "float", low=1e-9, high=1.0, needs=_FINE_TUNING),
    Option("unfreeze_from", "Unfreeze from", "The first layer that is trained when fine-tuning; "
           "the cut is at the boundary of its block. An earlier one where your images are unlike "
           "ImageNet's and many. Default: the backbone's last blocks.", "text", needs=_FINE_TUNING),
    Option("pooling", "Pooling", "How the feature maps become one row of numbers. max where one "
           "small spot decides; flatten where the place matters and images are many.", "choice",
           POOLINGS),
    Option("hidden_units", "Hidden units", "Units of each dense layer before the last, for "
           "instance 128 64. None is often enough.", "ints", low=1, high=4096),
    Option("dropout", "Dropout", "Share of the inputs of each dense layer that training sets to "
           "0; 0.2 to 0.5 where training is much better than validation.", "float", high=0.9),
    Option("classifier_activation", "Classifier activation", "Activation of the last layer; "
           "seldom worth changing.", "choice", ACTIVATIONS),
    Option("batch_size", "Batch size", "Images in each step. Larger is steadier and "
           "faster, smaller learns more from few images.", "int", low=1, high=1024),
    Option("learning_rate", "Learning rate", "Step size at which the head is trained. Lower where "
           "the loss jumps, higher where it falls slowly; the finder below proposes one.", "float",
           low=1e-7, high=1.0),
    Option("optimizer", "Optimizer", "How a gradient becomes a step; seldom worth changing.",
           "choice", OPTIMIZERS),
    Option("learning_rate_schedule", "Learning-rate schedule", "The learning rate over "
           "time. cosine where the last epochs jump.",
           "choice", SCHEDULES),
    Option("label_smoothing", "Label smoothing", "Probability taken from each label and spread "
           "over all classes; helps where some labels are wrong.", "float", high=0.5),
    Option("class_weights", "Class weights", "What is done about classes of unequal size, where a "
           "rare class is missed.", "choice", CLASS_WEIGHTS),
    Option("patience", "Early stopping", "Epochs without a lower validation loss after which a "
           "stage ends (patience): 3 to 5 saves time in long runs. 0: never. The weights of the "
           "best epoch are kept in any case.", "int", high=MAX_EPOCHS),
    Option("validation_split", "Validation split", "Share of the images for validation, where "
           "the dataset has no such split: more makes the accuracy surer, less leaves more to "
           "train on.", "float", low=0.05, high=0.9),
    Option("seed", "Seed", "The same seed gives the same split and the same run, bit for bit; "
           "another one shows how much is chance.", "int", high=2**31 - 1),
    Option("augmented_copies", "Augmented copies", "Changed copies of each training image, whose "
           "features are computed once: 2 to 8 where images are few. 0: none.", "int",
           high=MAX_COPIES),
    Option("on_the_fly_augmentation", "On-the-fly augmentation", "Changes every training image "
           "anew in each epoch, where copies are not enough: the backbone runs each time.", "bool"),
    Option("augmentations", "Augmentation", "How the images are changed. Choose what could "
           "happen to yours: no flip where left and right differ.", "choices",
           AUGMENTATIONS, needs=_AUGMENTATION),
    Option("fit", "Fit", "How an image becomes square: squash or pad where what matters stands "
           "at the edge.", "choice", {name: fit.description for name, fit in FITS.items()}),
    Option("random_weights", "Random weights", "Starts without ImageNet's weights, to see "
           "what they are worth.", "bool"),
)  # fmt: skip
OPTIONS: Mapping[str, Option] = {option.name: option for option in _TABLE}


def _check_range(what: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:
        raise BadConfig(f"Expected {what} from {low:g} to {high:g}. Received {value:g}.")


def read_config(path: Path) -> RunConfig:
    """Read a config.json that holds what ``RunConfig.to_json`` returned.

    An unknown option is refused: a run resumed without it would be another run.

    Raises:
        FileNotFoundError: there is no such file.
        DamagedFile: it cannot be read, or has an unknown option or value.
    """
    options = read_json(path, dict[str, Any], newest=1)
    options.pop("version", None)
    unknown = options.keys() - {each.name for each in dataclasses.fields(RunConfig)}
    if unknown & migration.OPTIONS.keys():
        raise DamagedFile(path, "an earlier version of the program is still running it")
    if unknown:
        raise DamagedFile(path, f"this program does not know its option {min(unknown)!r}")
    try:
        return msgspec.convert(options, RunConfig)
    except (msgspec.ValidationError, BadConfig, UnknownName) as error:
        raise DamagedFile(path, str(error).rstrip(".")) from error


def check_recipe(config: RunConfig, dataset: Dataset) -> None:
    """Refuse a run that cannot be trained, before its folder is made.

    Loads TensorFlow only for a layer to unfreeze from that is not in the catalog.

    Raises:
        BadDataset: a split or a class has no images, or a class has the name of a split.
        UnknownName: the backbone has no layer of that name to unfreeze from.
    """
    check_class_names(dataset)
    check_splits(*split_samples(dataset, config.validation_split, config.seed))
    row = get_backbone(config.backbone)
    if config.fine_tune_epochs and config.unfreeze_from not in (row.unfreeze_from, *row.blocks):
        from tlcore.models.build import build_architecture, find_cut_below

        imagenet = not config.random_weights
        base = build_architecture(row, config.size, top=False, imagenet=imagenet)
        find_cut_below(base, config.unfreeze_from)


_NAMED = 5  # classes that a message names


def check_splits(train: Sequence[Sample], val: Sequence[Sample]) -> None:
    """Refuse an empty training or validation split.

    Raises:
        BadDataset: naming it, or the classes that have one image each.
    """
    if train and not val:
        labels = sorted({sample.label for sample in train}, key=natural_key)
        more = f" and {len(labels) - _NAMED} more" if len(labels) > _NAMED else ""
        raise BadDataset(
            f"Expected images for validation. Received none: {', '.join(labels[:_NAMED])}{more} "
            "have one image each, or only copies and frames that stay together. Add images: each "
            "class needs at least two, one for training and one for validation."
        )
    if not train:
        raise empty_split_error("training")


def empty_split_error(split: str) -> BadDataset:
    """Return the error of a split without a readable image; ``split`` in words: "training"."""
    return BadDataset(
        f"Expected images for {split}. Received none that can be read. Add images: each class "
        "needs at least two, one for training and one for validation."
    )


def check_classes(classes: Iterable[str], readable: Sequence[Sample]) -> None:
    """Refuse training with a class of which no image can be read.

    Raises:
        BadDataset: naming such classes.
    """
    empty = sorted(set(classes) - {sample.label for sample in readable})
    if empty:
        raise BadDataset(
            f"Expected a training image in every class. Received none that can be read of "
            f"{', '.join(empty)}. Add images, or leave the class out."
        )
