"""c. The feature pass against decoding plus a bare compiled forward pass of the same images.

"alone" is the pass of images that are decoded already, with preprocessing, beside a bare loop of
LiteRT with all processors and without.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from unittest.mock import patch

import numpy as np
from ai_edge_litert.interpreter import Interpreter

from tests.benchmarks import ours
from tlcore.datasets.decoding import hash_samples
from tlcore.datasets.geometry import fit
from tlcore.datasets.image_io import read_image
from tlcore.datasets.sources import read_folder
from tlcore.models.catalog import preprocess
from tlcore.models.runtime import CPUS, TFLITE
from tlcore.training import features
from tlcore.training.augmentation import FORWARD, ImageCopy
from tlcore.training.config import RunConfig
from tlcore.training.features import FeatureSource

ROUNDS = 3


def main(folder: Path) -> None:
    samples = tuple(hash_samples(read_folder(folder).samples))
    whole_batches = len(samples) // FORWARD * FORWARD
    samples = samples[:whole_batches]
    config = RunConfig(str(folder.resolve()), size=160)
    ratios, alone = [], []
    with ours.empty_home() as settings:
        network = FeatureSource(config, 2, settings).transfer_model
        network.forward(np.zeros((FORWARD, 160, 160, 3), np.uint8), ["pooling-avg"])  # traced
        ready = FeatureSource(config, 2, settings)
        ready.prepare_runtime()
        converted = ready.runtime
        if converted is None:
            raise SystemExit("The network was not converted.")
        for place in range(ROUNDS):
            began = time.perf_counter()
            pixels = [fit(read_image(sample.path, settings.limits), 160) for sample in samples]
            decoded = time.perf_counter()
            parts = [np.stack(pixels[i : i + FORWARD]) for i in range(0, len(pixels), FORWARD)]
            for part in parts:
                network.forward(part, ["pooling-avg"])
            bare = time.perf_counter()
            inputs = [preprocess(part, config.backbone) for part in parts]
            interpreter = Interpreter(str(converted.folder / TFLITE), num_threads=CPUS)
            entry, result = interpreter.get_input_details()[0]["index"], None
            interpreter.resize_tensor_input(entry, inputs[0].shape)
            interpreter.allocate_tensors()
            loop = time.perf_counter()
            for part in inputs:
                interpreter.set_tensor(entry, part)
                interpreter.invoke()
                result = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])
            loop = time.perf_counter() - loop
            copies = [ImageCopy(sample) for sample in samples]
            by_sample = {sample.file: each for sample, each in zip(samples, pixels, strict=True)}
            decoded_already = patch.object(
                features, "load_pixels", lambda copy, spec, by=by_sample: by[copy.sample.file]
            )
            with decoded_already:
                own = time.perf_counter()
                list(ready.outputs(["pooling-avg"], copies))
                own = time.perf_counter() - own
            source = FeatureSource(
                config, 2, ours.replace(settings, home=settings.home / str(place))
            )
            source.runtime = converted
            started = time.perf_counter()
            source.compute(["pooling-avg"], copies)
            took = time.perf_counter() - started
            ratios.append(took / (bare - began))
            alone.append(loop / own)
            sys.stdout.write(
                f"decode {decoded - began:.2f} s + Keras {bare - decoded:.2f} s; bare LiteRT "
                f"{loop:.2f} s, our pass alone {own:.2f} s {result is not None}; all of ours "
                f"{took:.2f} s: {ratios[-1]:.2f} ×; alone {alone[-1]:.2f} of the bare loop\n"
            )
    sys.stdout.write(
        f"median {sorted(ratios)[ROUNDS // 2]:.2f} ×, {sorted(alone)[ROUNDS // 2]:.2f}\n"
    )


if __name__ == "__main__":
    main(ours.folder_argument(__doc__))
