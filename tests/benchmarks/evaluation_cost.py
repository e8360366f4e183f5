"""The cost of scoring a segmenter beyond the predictions themselves, and the confusion matrix compared with torchmetrics.

    python tests/benchmarks/evaluation_cost.py RUN DATA

RUN is a run of train-seg. The val images of DATA are scored as `vocctl eval` does, at their original size, from a warm
cache, each time in a copy of the run (ext4 creates files slowly if others were removed less than half a minute ago).
Alternating with that, the same predictions are computed and discarded, and timed by step: forward passes with softmax,
resize to the image's size, arg-max. Everything else is overhead: hashing the images, reading, counting, writing label
maps and tables. Loading the run is listed separately. Also measured: our arg-max against `argmax(1)`, and our confusion
matrix against torchmetrics', which must be equal.
"""

import shutil
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable
from operator import truediv
from pathlib import Path
from statistics import median
from typing import Any

import pytest
import torch

from vocctl.config import EvalOptions
from vocctl.data.datasets import EvalDataset
from vocctl.data.images import read_mask
from vocctl.data.loaders import eval_loader
from vocctl.data.source import open_dataset
from vocctl.inference import predict
from vocctl.inference.eval_split import eval_split
from vocctl.inference.load import load_segmenter
from vocctl.labels import IGNORE, NUM_SEG_CLASSES
from vocctl.metrics.confusion import confusion_matrix
from vocctl.runs.find import find_run
from vocctl.tasks.evaluate_seg import evaluate

ROUNDS = 9
STEPS = {"forward": "averaged_probs", "resize": "resize_probs", "arg-max": "argmax_labels"}  # functions of predict


def time_call(function: Callable[[], object]) -> float:
    """Return the seconds that a call takes."""
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def prediction_times(run: Path, data: Path) -> dict[str, float]:
    """Seconds of each of STEPS in the predictions that evaluate scores, and of loading the run."""
    step_seconds = dict.fromkeys([*STEPS, "loading"], 0.0)

    def timed(step: str, work: Callable[..., Any]) -> Callable[..., Any]:
        def timed_work(*args: Any, **keywords: Any) -> Any:
            start = time.perf_counter()
            result = work(*args, **keywords)
            step_seconds[step] += time.perf_counter() - start
            return result

        return timed_work

    folder = find_run(str(run), "train-seg")
    model, config, setup = timed("loading", load_segmenter)(folder, "best", None)
    _, _, split = eval_split(folder, config.data, data, "val")
    images = split.images
    loader = eval_loader(EvalDataset(images), config.train.batch, workers=0, pin=False)
    with pytest.MonkeyPatch.context() as patch:
        for step, function_name in STEPS.items():
            patch.setattr(predict, function_name, timed(step, getattr(predict, function_name)))
        probs = predict.predict_probs(model, loader, device=setup.device, precision=setup.precision)
        deque(predict.predict_labels(probs, images.original_sizes), maxlen=0)
    return step_seconds


def print_overhead(copies: list[Path], data: Path) -> None:
    """copies: of the run, one per round."""
    totals, steps_of_rounds = [], []
    for copy in copies:
        totals.append(time_call(lambda copy=copy: evaluate(str(copy), EvalOptions(data=data))))
        steps_of_rounds.append(prediction_times(copy, data))
    for name in ("loading", *STEPS):
        times = [step_seconds[name] for step_seconds in steps_of_rounds]
        print(f"{name:10}{median(times):6.2f} s, {100 * median(map(truediv, times, totals)):4.1f} %")
    overheads = [
        total - sum(step_seconds.values()) for total, step_seconds in zip(totals, steps_of_rounds, strict=True)
    ]
    percent = 100 * median(map(truediv, overheads, totals))
    print(f"{'overhead':10}{median(overheads):6.2f} s, {percent:4.1f} % of {median(totals):.2f} s")


def print_arg_max() -> None:
    probs = torch.rand(NUM_SEG_CLASSES, 375, 500)
    pairs = [
        (time_call(lambda: predict.argmax_labels(probs)), time_call(lambda: probs[None].argmax(1))) for _ in range(20)
    ]
    ours, plain = (1000 * median(times) for times in zip(*pairs, strict=True))
    print(f"arg-max of one image: {ours:.1f} ms; argmax(1): {plain:.1f} ms")


def print_confusion(run: Path, data: Path) -> None:
    # torchmetrics imports torchvision, which vocctl makes importable first (compat.py).
    from torchmetrics.functional.classification import multiclass_confusion_matrix

    source = open_dataset(data)
    folder = run / "eval" / f"{source.name}-val" / "labels"
    pairs = [
        (torch.from_numpy(read_mask(folder / f"{image_id}.png").copy()), torch.from_numpy(source.mask(image_id).copy()))
        for image_id in source.ids("val")
    ]

    def ours() -> torch.Tensor:
        return torch.stack([confusion_matrix(predicted, truth) for predicted, truth in pairs]).sum(0)

    def theirs() -> torch.Tensor:
        matrices = [
            multiclass_confusion_matrix(predicted, truth, NUM_SEG_CLASSES, ignore_index=IGNORE, validate_args=False)
            for predicted, truth in pairs
        ]
        return torch.stack(matrices).sum(0)

    assert torch.equal(ours(), theirs())
    times = [(time_call(ours), time_call(theirs)) for _ in range(ROUNDS)]
    print(f"confusion matrix of {len(pairs)} images: {median(time for time, _ in times):.2f} s, torchmetrics "
          f"{median(time for _, time in times):.2f} s: {median(b / a for a, b in times):.1f} times as fast")  # fmt: skip


def main() -> None:
    run, data = Path(sys.argv[1]), Path(sys.argv[2])
    with tempfile.TemporaryDirectory() as folder:
        copies = [Path(folder) / str(number) for number in range(1 + ROUNDS)]
        for copy in copies:
            shutil.copytree(run, copy, ignore=shutil.ignore_patterns("eval", "state*"))
        evaluate(str(copies[0]), EvalOptions(data=data))  # fills the cache
        print_overhead(copies[1:], data)
        print_arg_max()
        print_confusion(copies[0], data)


if __name__ == "__main__":
    main()
