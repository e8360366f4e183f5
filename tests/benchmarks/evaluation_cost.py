"""What scoring a segmenter costs beside what can't be left out, and the confusion matrix against torchmetrics'.

    python tests/benchmarks/evaluation_cost.py RUN DATA

RUN: of train-seg; DATA: its val images are scored as `vocctl eval` does, at their own size, from a warm cache, each time in
a copy of the run (ext4 is slow to make files when others were removed within half a minute). In turns with it the same
predictions are made and thrown away, and timed: the forward passes with softmax, the resize to the image's size, the
arg-max. Their sum is what can't be left out. All that scoring takes beyond it is ours: hashing the images, reading,
counting, writing label maps and tables; and, said apart, loading the run. Beside it: the arg-max against plain `argmax(1)`;
and both confusion matrices over the same label maps, which have to agree.
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
STEPS = {
    "forward": "averaged_probs",
    "resize": "resize_probs",
    "arg-max": "argmax_labels",
}  # of vocctl.inference.predict


def seconds(work: Callable[[], object]) -> float:
    resumed = time.perf_counter()
    work()
    return time.perf_counter() - resumed


def needed(run: Path, data: Path) -> dict[str, float]:
    """Seconds of each of STEPS in the predictions that evaluate scores, with nothing done beside them; and of loading."""
    spent = dict.fromkeys([*STEPS, "loading"], 0.0)

    def timed(name: str, work: Callable[..., Any]) -> Callable[..., Any]:
        def run(*args: Any, **keywords: Any) -> Any:
            resumed = time.perf_counter()
            done = work(*args, **keywords)
            spent[name] += time.perf_counter() - resumed
            return done

        return run

    found = find_run(str(run), "train-seg")
    model, config, here = timed("loading", load_segmenter)(found, "best", None)
    images = eval_split(found, config.data, data, "val")[2].images
    loader = eval_loader(EvalDataset(images), config.train.batch, workers=0, pin=False)
    with pytest.MonkeyPatch.context() as patch:
        for name, function in STEPS.items():
            patch.setattr(predict, function, timed(name, getattr(predict, function)))
        probs = predict.predict_probs(model, loader, device=here.device, precision=here.precision)
        deque(predict.predict_labels(probs, images.original_sizes), maxlen=0)
    return spent


def print_own_cost(copies: list[Path], data: Path) -> None:
    """copies: of the run, one for each turn."""
    turns = [
        (seconds(lambda copy=copy: evaluate(str(copy), EvalOptions(data=data))), needed(copy, data)) for copy in copies
    ]
    total = [one for one, _ in turns]
    for name in ("loading", *STEPS):
        taken = [parts[name] for _, parts in turns]
        print(f"{name:10}{median(taken):6.2f} s, {100 * median(map(truediv, taken, total)):4.1f} %")
    own = [one - sum(parts.values()) for one, parts in turns]
    print(f"{'ours':10}{median(own):6.2f} s, {100 * median(map(truediv, own, total)):4.1f} % of {median(total):.2f} s")


def print_arg_max() -> None:
    probs = torch.rand(NUM_SEG_CLASSES, 375, 500)
    pairs = [(seconds(lambda: predict.largest(probs)), seconds(lambda: probs[None].argmax(1))) for _ in range(20)]
    own, plain = (1000 * median(times) for times in zip(*pairs, strict=True))
    print(f"arg-max of one image: {own:.1f} ms; plain argmax(1): {plain:.1f} ms")


def print_confusion(run: Path, data: Path) -> None:
    from torchmetrics.functional.classification import multiclass_confusion_matrix  # vocctl goes before torchvision

    source = open_dataset(data)
    folder = run / "eval" / f"{source.name}-val" / "labels"
    shown = [
        (torch.from_numpy(read_mask(folder / f"{one}.png").copy()), torch.from_numpy(source.mask(one).copy()))
        for one in source.ids("val")
    ]

    def own() -> torch.Tensor:
        return torch.stack([confusion_matrix(predicted, truth) for predicted, truth in shown]).sum(0)

    def theirs() -> torch.Tensor:
        each = [
            multiclass_confusion_matrix(predicted, truth, NUM_SEG_CLASSES, ignore_index=IGNORE, validate_args=False)
            for predicted, truth in shown
        ]
        return torch.stack(each).sum(0)

    assert torch.equal(own(), theirs())
    pairs = [(seconds(own), seconds(theirs)) for _ in range(ROUNDS)]
    print(f"confusion matrix of {len(shown)} images: {median(o for o, _ in pairs):.2f} s, torchmetrics "
          f"{median(t for _, t in pairs):.2f} s: {median(t / o for o, t in pairs):.1f} times as fast")  # fmt: skip


def main() -> None:
    run, data = Path(sys.argv[1]), Path(sys.argv[2])
    with tempfile.TemporaryDirectory() as folder:
        copies = [Path(folder) / str(number) for number in range(1 + ROUNDS)]
        for copy in copies:
            shutil.copytree(run, copy, ignore=shutil.ignore_patterns("eval", "state*"))
        evaluate(str(copies[0]), EvalOptions(data=data))  # decodes
        print_own_cost(copies[1:], data)
        print_arg_max()
        print_confusion(copies[0], data)


if __name__ == "__main__":
    main()
