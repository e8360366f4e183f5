"""Export a run's model as ONNX, and compare it with the run on validation images before the file gets its name.

Input `images`: (B, 3, H, W) float32 RGB in [0, 1]; the normalization is part of the model. Output `logits`: (B, 20), or
(B, 21, H, W) of a segmenter. B is dynamic; of a segmenter H and W too, in multiples of 32. The file's metadata hold class
names, preprocessing, and a classifier's thresholds.
"""

import json
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.onnx import symbolic_helper

from vocctl import __version__
from vocctl.config import TrainClsConfig, TrainSegConfig, check_checkpoint, did_you_mean
from vocctl.errors import ConfigError, RunError
from vocctl.files import atomic_file
from vocctl.inference.eval_split import eval_split
from vocctl.labels import CLASSES, SEG_CLASSES
from vocctl.models.classifier import Classifier
from vocctl.models.segmenter import Segmenter
from vocctl.runs.find import open_run
from vocctl.runs.folder import RunFolder

FORMATS = ("onnx",)
TOLERANCE = 1e-4  # largest difference of a logit, relative to the run's largest logit or 1
OPSET = 18
FIX = "export a run of another model"


@dataclass(frozen=True)
class ExportResult:
    path: Path
    num_images: int  # that were compared
    difference: float  # largest difference of a logit, relative to the run's largest one or 1, whichever is larger
    probability_difference: float
    agreement: float  # fraction of equal decisions: labels of pixels, or classes by the sign of the logit
    megabytes: float


@dataclass(frozen=True)
class _Exportable:
    """A run's model in fp32 on the CPU, and what differs between segmenters and classifiers."""

    run: RunFolder
    config: TrainSegConfig | TrainClsConfig
    model: nn.Module  # evaluated as the run does
    traced: nn.Module  # the same function in a form that ONNX can hold
    metadata: dict[str, str]
    dynamic_output_axes: dict[int, str]
    probabilities: Callable[[Tensor], Tensor]  # of logits
    decisions: Callable[[Tensor], Tensor]


def export(
    name: str,
    *,
    form: str = "onnx",
    out: Path | None = None,
    data: Path | None = None,
    checkpoint: str = "best",
    num_images: int = 16,
    on_image: Callable[[int, int], None] = lambda done, total: None,
) -> ExportResult:
    """Export a run and compare it on num_images of its validation images. out: [RUN/<checkpoint>.onnx].
    data: where these images are now; None: where they were when the run was trained.

    Raises ConfigError: format, checkpoint, or missing packages. DataError: run, weights or data are missing. RunError: the
    model has no ONNX form, or the file differs from the run; then no file is left.
    """
    if form not in FORMATS:
        raise ConfigError(f"--format is {', '.join(FORMATS)}, got {form!r}{did_you_mean(form, FORMATS)}")
    check_checkpoint(checkpoint)
    try:
        import onnx
        import onnxruntime
    except ImportError as error:
        raise ConfigError(
            f'export needs the package {error.name}: install it with `pip install "vocctl[export]"`'
        ) from error

    exportable = _load(open_run(name), checkpoint)
    path = out or exportable.run.path / f"{checkpoint}.onnx"
    images = _validation_images(exportable, data, num_images)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RunError(f"{path} cannot be written: {error.strerror}; choose another --out") from error
    with atomic_file(path, "free space or choose another --out") as part:
        _write(exportable, part)
        proto = onnx.load(part)
        onnx.checker.check_model(proto)
        onnx.helper.set_model_props(proto, exportable.metadata)
        onnx.save(proto, part)
        session = onnxruntime.InferenceSession(str(part), providers=["CPUExecutionProvider"])
        return _compare(exportable, session, images, path, part.stat().st_size / 1e6, on_image)


def _load(run: RunFolder, checkpoint: str) -> _Exportable:
    """Raises ConfigError: a run of train-adv. DataError: weights are missing or corrupt."""
    if run.task not in LOADERS:
        raise ConfigError(f"{run.path} is a run of {run.task}: export takes a run of {' or '.join(LOADERS)}")
    exportable = LOADERS[run.task](run, checkpoint)
    run.load_weights(checkpoint, exportable.model)
    exportable.model.eval()
    exportable.traced.eval()
    return exportable


class _SegmenterLogits(nn.Module):
    """Segmenter's forward pass for sides that are multiples of 32, without its checks of the sides."""

    def __init__(self, model: Segmenter) -> None:
        super().__init__()
        self.normalize, self.backbone = model.normalize, model.backbone

    def forward(self, images: Tensor) -> Tensor:
        logits = self.backbone(self.normalize(images)).float()
        return F.interpolate(logits, size=images.shape[-2:], mode="bilinear", align_corners=False)


def _load_segmenter(run: RunFolder, checkpoint: str) -> _Exportable:
    config = run.config(TrainSegConfig())
    model = Segmenter(config.model, load_pretrained=False)
    metadata = _metadata(run, checkpoint, config.data.size) | {
        "output": "logits, (B, 21, H, W): softmax over the classes, resize to the image, then argmax",
        "class_names": json.dumps(SEG_CLASSES),
    }
    return _Exportable(
        run, config, model, _SegmenterLogits(model), metadata,
        dynamic_output_axes={0: "batch", 2: "height", 3: "width"},
        probabilities=lambda logits: logits.softmax(1),
        decisions=lambda logits: logits.argmax(1),
    )  # fmt: skip


def _load_classifier(run: RunFolder, checkpoint: str) -> _Exportable:
    config = run.config(TrainClsConfig())
    model = Classifier(config.model, config.data.size, load_pretrained=False)
    thresholds = run.thresholds(checkpoint, config.threshold.thresholds).tolist()
    metadata = _metadata(run, checkpoint, config.data.size) | {
        "output": "logits, (B, 20): a sigmoid gives the probability of each class",
        "class_names": json.dumps(CLASSES),
        "thresholds": json.dumps(dict(zip(CLASSES, thresholds, strict=True))),
    }
    return _Exportable(
        run, config, model, model, metadata,
        dynamic_output_axes={0: "batch"},
        probabilities=torch.sigmoid,
        decisions=lambda logits: logits > 0,
    )  # fmt: skip


LOADERS: dict[str, Callable[[RunFolder, str], _Exportable]] = {
    "train-seg": _load_segmenter,
    "train-cls": _load_classifier,
}


def _metadata(run: RunFolder, checkpoint: str, size: int) -> dict[str, str]:
    preprocessing = {
        "color": "RGB", "scale": "1/255", "shorter_side": size, "sides": "multiples of 32", "shrink": "area",
        "enlarge": "bilinear",
    }  # fmt: skip
    return {
        "vocctl": __version__,
        "task": run.task,
        "checkpoint": checkpoint,
        "input": "images, (B, 3, H, W) float32, RGB, values in [0, 1]; normalization is part of the model",
        "preprocessing": json.dumps(preprocessing),
    }


def _validation_images(exportable: _Exportable, data: Path | None, count: int) -> list[Tensor]:
    """(1, 3, H, W) each, spread evenly over the run's validation images, at the model's input size."""
    _, _, split = eval_split(exportable.run, exportable.config.data, data, None)
    last = len(split.images) - 1
    indices = np.unique(np.linspace(0, last, min(max(count, 1), last + 1)).round().astype(int))
    images = [torch.from_numpy(np.array(split.images.image(index))) for index in indices]
    return [image.permute(2, 0, 1)[None].float() / 255 for image in images]


def _antialiased_resize(mode: str) -> Callable[..., Any]:
    """The ONNX form of F.interpolate with antialias, which torch's exporter does not have;

    ViTs' position embeddings use it.
    """

    def resize(g: Any, images: Any, sides: Any, align_corners: Any, *scales: Any) -> Any:
        batch_and_channels = symbolic_helper._slice_helper(g, g.op("Shape", images), axes=[0], starts=[0], ends=[2])
        shape = g.op("Concat", batch_and_channels, g.op("Cast", sides, to_i=7), axis_i=0)  # 7: int64
        empty = g.op("Constant", value_t=torch.tensor([], dtype=torch.float32))
        attributes = {"mode_s": mode, "cubic_coeff_a_f": -0.5, "coordinate_transformation_mode_s": "half_pixel"}
        return g.op("Resize", images, empty, empty, shape, antialias_i=1, exclude_outside_i=1, **attributes)

    return resize


def _write(exportable: _Exportable, path: Path) -> None:
    """Raises RunError: the model uses an operator that ONNX does not have."""
    for mode, torch_name in (("linear", "bilinear"), ("cubic", "bicubic")):
        symbolic = f"aten::_upsample_{torch_name}2d_aa"
        torch.onnx.register_custom_op_symbolic(symbolic, _antialiased_resize(mode), OPSET)
    try:
        with warnings.catch_warnings(), torch.inference_mode():
            warnings.simplefilter("ignore")  # tracing warns about branches; export compares the outputs instead
            torch.onnx.export(
                exportable.traced,
                (torch.rand(2, 3, 64, 96),),  # not the model's own input size, at which it would trace no resizing
                path,
                dynamo=False,
                opset_version=OPSET,
                input_names=["images"],
                output_names=["logits"],
                dynamic_axes={
                    "images": {0: "batch", 2: "height", 3: "width"},
                    "logits": exportable.dynamic_output_axes,
                },
            )
    except (RuntimeError, ValueError, TypeError, NotImplementedError) as error:
        reason = " ".join(str(error).split())[:160]
        raise RunError(f"the model of {exportable.run.path} has no ONNX form ({reason}): {FIX}") from error


def _compare(
    exportable: _Exportable,
    session: Any,  # an onnxruntime.InferenceSession
    images: list[Tensor],
    path: Path,
    megabytes: float,
    on_image: Callable[[int, int], None],
) -> ExportResult:
    """Raises RunError: a logit differs by more than the tolerance, for one image or in a batch."""
    difference = probability_difference = 0.0
    equal = total = 0
    for done, image in enumerate(images, start=1):
        # the first time with another batch size than was traced
        batch = image if done > 1 else torch.cat([image, image.flip(-1), image])
        with torch.inference_mode():
            expected = exportable.model(batch)
        actual = _run_onnx(session, batch, path)
        if actual.shape != expected.shape:
            raise RunError(f"{path}: ONNX returns {tuple(actual.shape)}, the run {tuple(expected.shape)}: {FIX}")
        scale = max(1.0, expected.abs().max().item())
        difference = max(difference, (actual - expected).abs().max().item() / scale)
        probabilities = (exportable.probabilities(logits) for logits in (actual, expected))
        probability_difference = max(probability_difference, torch.sub(*probabilities).abs().max().item())
        agreement = exportable.decisions(actual) == exportable.decisions(expected)
        equal, total = equal + int(agreement.sum()), total + agreement.numel()
        on_image(done, len(images))
    if not difference <= TOLERANCE:
        raise RunError(
            f"{path}: ONNX differs from the run by {difference:.1e} on real images, the limit is {TOLERANCE:.0e}"
        )
    return ExportResult(path, len(images), difference, probability_difference, equal / total, megabytes)


def _run_onnx(session: Any, batch: Tensor, path: Path) -> Tensor:
    try:
        return torch.from_numpy(session.run(["logits"], {"images": batch.numpy()})[0])
    except Exception as error:  # ONNX Runtime's errors have no common base class
        reason = " ".join(str(error).split())[:160]
        raise RunError(f"{path}: ONNX Runtime cannot run it ({reason}): {FIX}") from error
