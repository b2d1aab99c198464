"""Predict image files with the model in this folder.

    python predict.py photo.jpg another.png
    python predict.py --format tflite --json photo.jpg

Needs NumPy, Pillow and one runtime: ai-edge-litert, the smallest (requirements-tflite.txt), or
TensorFlow and Keras (requirements.txt); for HEIC, what an iPhone takes, pillow-heif too. The model
itself takes a square of bytes. Before that an image is turned upright, laid on white where it is
transparent, brought to 8 bits a channel, and cut or shrunk to the model's size.
"""

from __future__ import annotations

import argparse
import io
import json
import sys
import warnings
from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

INSTALL = """\
Install what is missing, the first for TFLite alone, the second for every format:
    pip install -r requirements-tflite.txt
    pip install -r requirements.txt
"""
try:
    import numpy as np
    from PIL import Image
except ImportError as missing:
    sys.exit(f"NumPy and Pillow are needed to read images: {missing}.\n{INSTALL}")
HEIC: tuple[str, ...] = ()
try:
    from pillow_heif import register_heif_opener

    register_heif_opener()
    HEIC = ("HEIF",)
except ImportError:
    pass

FOLDER = Path(__file__).resolve().parent
# Recognised by their first bytes; HEIC last: AVIF begins like it.
IMAGES = ("JPEG", "PNG", "GIF", "BMP", "WEBP", "TIFF", "AVIF", "JPEG2000", *HEIC)
HEIC_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")
ORIENTATION = 0x0112  # the EXIF tag: how the camera was held
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
DEEP = ("I", "F", "I;16", "I;16L", "I;16B", "I;16N")  # grey with more than 8 bits
Model = Callable[[np.ndarray], Any]  # uint8 (n, side, side, 3) → float32 (n, classes)


def read_image(path: Path) -> Image.Image:
    """Read the first image of a file: mode RGB, turned as it was taken."""
    data = path.read_bytes()
    with open_image(data) as file:
        deep = any(";16" in str(tile[3]) for tile in getattr(file, "tile", ()))
        file.load()
        try:
            turn = file.getexif().get(ORIENTATION, 0)
        except Exception:  # damaged notes beside a whole image
            turn = 0
        if deep and file.mode == "RGB":
            values = read_deep_colours(file, data)
            image = Image.fromarray(scale_table(find_depth(file, data, values))[values])
        else:
            image = to_rgb(file, data)
    return image.transpose(TURNS[turn]) if turn in TURNS else image


def open_image(data: bytes) -> Image.Image:
    if not HEIC and data[4:8] == b"ftyp" and data[8:12] in HEIC_BRANDS:
        raise ValueError("HEIC needs one more package: pip install pillow-heif")
    return Image.open(io.BytesIO(data), formats=IMAGES)


def to_rgb(image: Image.Image, data: bytes) -> Image.Image:
    """Lay transparent pixels on white, and bring every mode to RGB."""
    if image.mode in DEEP:
        return Image.fromarray(to_grey(image, data)).convert("RGB")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        white = Image.new("RGB", image.size, (255, 255, 255))
        white.paste(image, mask=image.getchannel("A"))
        return white
    return image.convert("RGB")


def to_grey(image: Image.Image, data: bytes) -> np.ndarray:
    """Scale a deep grey image to bytes, uint8 (height, width)."""
    values = np.asarray(image)
    if image.mode.startswith("I;16"):
        greys = scale_table(find_depth(image, data, values))
        tags: Any = getattr(image, "tag_v2", {})
        result = (255 - greys if tags.get(262) == 0 else greys)[values]  # 0: white is zero
    else:
        result = scale_to_bytes(values)
    transparent = image.info.get("transparency")
    if isinstance(transparent, int):
        result = np.where(values == transparent, np.uint8(255), result)
    return result


def read_deep_colours(image: Image.Image, data: bytes) -> np.ndarray:
    """Return all 16 bits of an RGB image: Pillow keeps the high byte, or in the other order the low
    one."""

    def swap(args: Any) -> Any:
        if isinstance(args, str):
            return args[:-1] + ("L" if args.endswith("16B") else "B") if ";16" in args else args
        return tuple(swap(each) if isinstance(each, str) else each for each in args)

    low: Any = open_image(data)
    low.tile = [tile._replace(args=swap(tile.args)) for tile in low.tile]
    low.load()
    return np.asarray(image).astype(np.uint16) << 8 | np.asarray(low)


def find_depth(image: Image.Image, data: bytes, values: np.ndarray) -> int:
    """Return the bits that 16-bit values use: as the file says, else by the largest of them.

    A PNG says it in its sBIT chunk, a TIFF in BitsPerSample (258) or MaxSampleValue (281).
    """
    tags: Any = getattr(image, "tag_v2", None)
    if tags is not None:
        highest = tags.get(281, 0)
        highest = max(highest) if isinstance(highest, tuple) else highest
        depth = 12 if tags.get(258) == (12,) else int(highest).bit_length()
    else:
        start = data.find(b"sBIT", 0, max(data.find(b"IDAT"), 0))
        length = int.from_bytes(data[max(start - 4, 0) : max(start, 0)], "big")
        depth = max(data[start + 4 : start + 4 + length], default=0) if start > 0 else 0
    if 8 <= depth <= 16:
        return depth
    bits = int(values.max(initial=0)).bit_length()
    return next((depth for depth in (8, 10, 12, 14) if bits <= depth), 16)


def scale_table(depth: int) -> np.ndarray:
    """Return the byte of every possible 16-bit value: uint8 (65536,)."""
    return to_bytes(np.arange(65536, dtype=np.float32) * (255 / (2**depth - 1)))


def scale_to_bytes(values: np.ndarray) -> np.ndarray:
    """Scale by the smallest usual white that no value exceeds, else from lowest to highest."""
    whites = (1.0, 255.0, 65535.0) if values.dtype.kind == "f" else (255.0, 65535.0)
    wide = np.nan_to_num(values.astype(np.float32))
    low, high = float(wide.min()), float(wide.max())
    white = next((white for white in whites if low >= 0 and high <= white), None)
    if white is not None:
        low, high = 0.0, white
    half_span = max(high / 2 - low / 2, 1e-30)
    return to_bytes((wide / 2 - low / 2) * (255 / half_span))


def to_bytes(values: np.ndarray) -> np.ndarray:
    return np.rint(values).clip(0, 255).astype(np.uint8)


def crop(image: Image.Image, side: int) -> np.ndarray:
    """Return the centre, a square of 0.875 of the short side."""
    length = 0.875 * min(image.size)
    left, top = (image.width - length) / 2, (image.height - length) / 2
    return resize(image, (side, side), (left, top, left + length, top + length))


def squash(image: Image.Image, side: int) -> np.ndarray:
    """Return the whole image, stretched to a square."""
    return resize(image, (side, side), (0, 0, image.width, image.height))


def pad(image: Image.Image, side: int) -> np.ndarray:
    """Return the whole image undistorted, with ImageNet's mean colour beside it."""
    scale = side / max(image.size)
    width, height = (max(1, round(length * scale)) for length in image.size)
    left, top = (side - width) // 2, (side - height) // 2
    square = np.full((side, side, 3), (124, 116, 104), np.uint8)
    small = resize(image, (width, height), (0, 0, image.width, image.height))
    square[top : top + height, left : left + width] = small
    return square


def resize(
    image: Image.Image, size: tuple[int, int], box: tuple[float, float, float, float]
) -> np.ndarray:
    """Bring a part of an image to a size; HAMMING shows steps when it enlarges."""
    shrinks = box[2] - box[0] >= size[0] and box[3] - box[1] >= size[1]
    smooth = Image.Resampling.HAMMING if shrinks else Image.Resampling.BICUBIC
    return np.asarray(image.resize(size, smooth, box=box))


FITS = {"crop": crop, "squash": squash, "pad": pad}


def load_keras(path: Path) -> Model:
    import keras

    model = keras.models.load_model(path, compile=False)  # plain layers: safe mode stays on
    return lambda pixels: np.asarray(model(pixels, training=False))


def load_saved_model(path: Path) -> Model:
    import tensorflow

    loaded = tensorflow.saved_model.load(str(path))
    serve = loaded.signatures["serving_default"]

    def predict(pixels: np.ndarray) -> Any:
        _ = loaded  # a signature alone does not keep its weights alive
        return serve(image=tensorflow.constant(pixels))["probabilities"].numpy()

    return predict


def load_tflite(path: Path) -> Model:
    warnings.simplefilter("ignore")  # TensorFlow announces the end of its own interpreter
    name = next(name for name in TFLITE if is_installed(name))
    module = import_module(name)
    interpreter = (module.lite if name == "tensorflow" else module).Interpreter
    runner = interpreter(model_path=str(path)).get_signature_runner("serving_default")
    return lambda pixels: runner(image=pixels)["probabilities"]


def is_installed(name: str) -> bool:
    """Whether there is a package of this module, which is not loaded for that."""
    return find_spec(name.partition(".")[0]) is not None


# Each alone can read TFLite; the smallest first.
TFLITE = ("ai_edge_litert.interpreter", "tflite_runtime.interpreter", "tensorflow")
# format → its file, what loads it, the runtimes of which it needs one
FORMATS: dict[str, tuple[str, Callable[[Path], Model], tuple[str, ...]]] = {
    "keras": ("model.keras", load_keras, ("keras",)),
    "saved_model": ("saved_model", load_saved_model, ("tensorflow",)),
    "tflite": ("model.tflite", load_tflite, TFLITE),
    "tflite-int8": ("model-int8.tflite", load_tflite, TFLITE),
}
PREFERRED = ("tflite", "saved_model", "keras", "tflite-int8")  # without --format


def main() -> int:
    """Return 0, or 1 where something could not be predicted; why is on standard error."""
    here = [name for name in PREFERRED if (FOLDER / FORMATS[name][0]).exists()]
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("images", nargs="+", type=Path, metavar="IMAGE")
    parser.add_argument("--format", choices=here, help="else the first that this Python can run")
    parser.add_argument("--json", action="store_true", help="all digits, one JSON object")
    args = parser.parse_args()
    try:
        about = json.loads((FOLDER / "labels.json").read_text(encoding="utf-8"))
        labels, side, fit = about["labels"], about["size"], FITS[about["fit"]]
    except (OSError, ValueError, KeyError, TypeError) as error:
        sys.exit(f"labels.json cannot be read ({error!r}). Unpack the bundle again.")
    usable = (name for name in here if any(map(is_installed, FORMATS[name][2])))
    model = load_model(args.format or next(usable, ""))
    predictions: dict[str, dict[str, float]] = {}
    for path in args.images:
        try:
            square = fit(read_image(path), side)
        except Exception as error:  # Pillow raises a dozen kinds on damaged files
            sys.stderr.write(f"{path}: cannot be read: {error}\n")
            continue
        try:
            probabilities = model(square[None])[0].tolist()
            predictions[str(path)] = dict(zip(labels, probabilities, strict=True))
        except Exception as error:  # of another version of the runtime
            sys.exit(f"The model makes no prediction: {error}\n{INSTALL}")
    write(predictions, as_json=args.json)
    return 0 if len(predictions) == len(args.images) else 1


def load_model(name: str) -> Model:
    """Load one format, or end in words."""
    if not name:
        sys.exit(f"This Python has no runtime for a model of this bundle.\n{INSTALL}")
    file, load, runtimes = FORMATS[name]
    try:
        return load(FOLDER / file)
    except (ImportError, StopIteration) as error:
        modules = " or ".join(each.partition(".")[0] for each in runtimes)
        sys.exit(f"The format {name} needs {modules} ({error or 'not there'}).\n{INSTALL}")
    except Exception as error:  # runtimes raise whatever they like
        sys.exit(
            f"{file} cannot be loaded: {error}\nUnpack the bundle again, or install the versions "
            "that requirements.txt names."
        )


def write(predictions: dict[str, dict[str, float]], *, as_json: bool) -> None:
    if hasattr(sys.stdout, "reconfigure"):  # a terminal may lack a label's letters
        sys.stdout.reconfigure(errors="backslashreplace")
    if as_json:
        sys.stdout.write(json.dumps(predictions, indent=1) + "\n")
        return
    for path, by_label in predictions.items():
        sys.stdout.write(f"{path}\n")
        for label, probability in sorted(by_label.items(), key=lambda item: -item[1]):
            text = f"{probability:.2%}"
            text = {"0.00%": "<0.01%", "100.00%": ">99.99%"}.get(text, text)
            sys.stdout.write(f"  {text:>7}  {label}\n")


if __name__ == "__main__":
    sys.exit(main())
