"""How long a person waits for answers, and in how much memory. By hand, on a quiet machine:

    python -m tests.benchmarks.answers FOLDER

FOLDER has class folders, or splits with class folders. First answers: of a new installation with
nothing converted, and of a fresh process with a converted network, beside an import of Streamlit
and NumPy. Then a run, and its predictions of all images for the metrics, with its features cached.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from tests.benchmarks import ours
from tlcore.datasets.sources import read_folder
from tlcore.evaluation.split_predictions import predict_split
from tlcore.inference.client import Inference
from tlcore.models.predictions import ModelRef
from tlcore.models.runtime import backbone_network, wait_for_runtime
from tlcore.settings import Settings
from tlcore.training.config import RunConfig
from tlcore.training.lifecycle import start_run

SIZE = 224


def seconds(call: Callable[[], object]) -> float:
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


def resident(process: int) -> float:
    """MB of a process."""
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmRSS")).split()[1]) / 1024


def first_answer(settings: Settings, image: Path) -> tuple[float, float, float]:
    """Seconds of the first and the next answer of fresh processes, and MB of the answering one."""
    inference = Inference(settings)
    question = ("predict", image, [ModelRef("MobileNetV2", SIZE)])
    inference.warm_up()
    first, second = (seconds(lambda: inference.ask(*question)) for _ in range(2))
    memory = resident(inference.answering.process_id)
    inference.close()
    return first, second, memory


def main(folder: Path) -> None:
    image = read_folder(folder).samples[0].path
    with ours.empty_home() as settings:
        code = [sys.executable, "-c", "import streamlit, numpy"]
        start = seconds(lambda: subprocess.run(code, check=True))
        new, _, _ = first_answer(settings, image)
        wait_for_runtime(backbone_network(ModelRef("MobileNetV2", SIZE), settings), settings)
        first, second, memory = first_answer(settings, image)
        run, process = start_run(RunConfig(str(folder.resolve()), epochs=10, size=SIZE), settings)
        process.wait()
        inference = Inference(settings)
        inference.answering.process_id  # noqa: B018 - it is up
        task = "tlcore.evaluation.split_predictions:predict_files"
        ask = lambda run, files, _: inference.ask(task, run, files)  # noqa: E731
        splits = [len(predict_split(run, "val", settings, ask))]
        look = seconds(lambda: splits.append(len(predict_split(run, "train", settings, ask))))
        evaluate = ("tlcore.evaluation.evaluation:evaluate", run, "val")
        metrics = seconds(lambda: inference.ask(*evaluate))
        both = resident(inference.answering.process_id)
        started = inference._process is not None
        inference.close()
    sys.stdout.write(
        f"import of Streamlit {start:.2f} s; first answer of a new installation {new:.2f} s, of a "
        f"fresh process {first:.2f} s ({first / start:.1f} ×), the next {1000 * second:.0f} ms; "
        f"{memory:.0f} MB\n"
        f"predictions of {splits[1]} cached images {look:.2f} s, metrics {metrics:.2f} s, "
        f"{both:.0f} MB, TensorFlow started: {started}\n"
    )


if __name__ == "__main__":
    main(ours.folder_argument(__doc__))
