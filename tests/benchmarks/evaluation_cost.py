"""What scoring a segmenter costs beside what can't be left out, and the confusion matrix against torchmetrics'.

    python tests/benchmarks/evaluation_cost.py RUN DATA

RUN: of train-seg; DATA: its val photos are scored as `vocctl eval` does, at their own size, from a warm cache. Timed inside
that very call: loading the run, the forward passes with softmax, the resize to the photo's size, the arg-max. What is left
of the whole time is ours: reading, counting, writing label maps and tables. Beside it: the arg-max against plain
`argmax(1)`; and both confusion matrices over the same label maps, which have to agree.
"""

import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import torch

from vocctl.data.photos import read_mask
from vocctl.data.source import open_dataset
from vocctl.inference import predict
from vocctl.labels import IGNORE, NUM_SEG_CLASSES
from vocctl.metrics.confusion import confusion_matrix
from vocctl.tasks import evaluate_seg
from vocctl.tasks.evaluate_seg import evaluate

ROUNDS = 5
spent = {"loading": 0.0, "forward": 0.0, "resize": 0.0, "arg-max": 0.0}


def timed(name: str, work: Callable[..., Any]) -> Callable[..., Any]:
    def run(*args: Any, **keywords: Any) -> Any:
        begun = time.perf_counter()
        try:
            return work(*args, **keywords)
        finally:
            spent[name] += time.perf_counter() - begun

    return run


def whole(run: str, data: Path) -> float:
    spent.update(dict.fromkeys(spent, 0.0))
    begun = time.perf_counter()
    evaluate(run, data=data)
    return time.perf_counter() - begun


def seconds(work: Callable[[], object]) -> float:
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def main() -> None:
    run, data = sys.argv[1], Path(sys.argv[2])
    evaluate(run, data=data)  # decodes
    evaluate_seg.load_segmenter = timed("loading", evaluate_seg.load_segmenter)
    predict.averaged_probs = timed("forward", predict.averaged_probs)
    predict.resized_probs = timed("resize", predict.resized_probs)
    predict.largest = timed("arg-max", predict.largest)
    total, parts = min(((whole(run, data), dict(spent)) for _ in range(3)), key=lambda one: one[0])
    for name, taken in parts.items():
        print(f"{name:10}{taken:6.2f} s, {100 * taken / total:4.1f} % of {total:.2f} s")
    ours = total - sum(parts.values())
    print(f"{'ours':10}{ours:6.2f} s, {100 * ours / total:4.1f} %")

    probs = torch.rand(NUM_SEG_CLASSES, 375, 500)
    pairs = [(seconds(lambda: predict.largest(probs)), seconds(lambda: probs[None].argmax(1))) for _ in range(20)]
    own, plain = (1000 * median(times) for times in zip(*pairs, strict=True))
    print(f"arg-max of one photo: {own:.1f} ms; plain argmax(1): {plain:.1f} ms")

    from torchmetrics.functional.classification import multiclass_confusion_matrix  # vocctl goes before torchvision

    source = open_dataset(data)
    folder = Path(run) / "eval" / f"{source.name}-val" / "labels"
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
    print(f"confusion matrix of {len(shown)} photos: {median(o for o, _ in pairs):.2f} s, torchmetrics "
          f"{median(t for _, t in pairs):.2f} s: {median(t / o for o, t in pairs):.1f} times as fast")  # fmt: skip


if __name__ == "__main__":
    main()
