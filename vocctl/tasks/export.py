"""Write a run's model as ONNX, and check it against the run on real num_images before the file gets its name.

Input `images`: (B, 3, H, W) float32 RGB in [0, 1]; the normalization is inside. Output `logits`: (B, 20), or (B, 21, H, W).
B is free; H and W too, where the model takes them, in multiples of 32. Metadata: class names, preprocessing, thresholds.
"""

import json
import warnings
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.onnx import symbolic_helper

from vocctl import __version__
from vocctl.config import TrainClsConfig, TrainSegConfig, check_checkpoint, closest
from vocctl.errors import ConfigError, RunError
from vocctl.inference.eval_split import eval_split
from vocctl.labels import CLASSES, SEG_CLASSES
from vocctl.models.classifier import Classifier
from vocctl.models.segmenter import Segmenter
from vocctl.runs.find import open_run
from vocctl.runs.folder import RunFolder

FORMATS = ("onnx",)
TOLERANCE = 1e-4  # largest difference of a logit, in the unit of the run's largest logit or 1
OPSET = 18


@dataclass(frozen=True)
class ExportResult:
    path: Path
    num_images: int  # that were compared
    difference: float  # largest of a logit, in the unit of the run's largest one or 1, whichever is more
    probability_difference: float
    agreement: float  # share of the decisions (labels of a pixel, classes by logit) that are the same
    megabytes: float


class _Fitted(nn.Module):
    """A segmenter for sides that 32 divides: as Segmenter's forward, without its questions about the sides."""

    def __init__(self, model: Segmenter) -> None:
        super().__init__()
        self.normalize, self.backbone = model.normalize, model.backbone

    def forward(self, images: Tensor) -> Tensor:
        logits = self.backbone(self.normalize(images)).float()
        return F.interpolate(logits, size=images.shape[-2:], mode="bilinear", align_corners=False)


def export(
    name: str,
    *,
    form: str = "onnx",
    out: Path | None = None,
    checkpoint: str = "best",
    num_images: int = 16,
    on_image: Callable[[int, int], None] = lambda done, total: None,
) -> ExportResult:
    """Write and check it. num_images: how many of the run's validation num_images are compared.

    Raises ConfigError: format, checkpoint, or the packages are not installed. DataError: run, weights or data are missing.
    RunError: the model can't be written as ONNX, or what was written differs from the run; no file is left then.
    """
    if form not in FORMATS:
        raise ConfigError(f"--format is {', '.join(FORMATS)}, got {form!r}{closest(form, FORMATS)}")
    check_checkpoint(checkpoint)
    try:
        import onnx
        import onnxruntime
    except ImportError as error:
        raise ConfigError(f"export needs the package {error.name}: pip install 'vocctl[export]' brings it") from error

    run = open_run(name)
    model, config, about = _loaded(run, checkpoint)
    path = out or run.path / f"{checkpoint}.onnx"
    part = path.with_name(path.name + ".part")
    images = _validation_images(run, config, num_images)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _write(model, part, run)
        held = onnx.load(part)
        onnx.checker.check_model(held)
        onnx.helper.set_model_props(held, about)
        onnx.save(held, part)
        session = onnxruntime.InferenceSession(str(part), providers=["CPUExecutionProvider"])
        result = _compared(model, session, images, path, part.stat().st_size / 1e6, on_image)
        part.replace(path)
    except OSError as error:
        raise RunError(
            f"{path} can't be written: {error.strerror or error}; free space or choose another --out"
        ) from error
    finally:
        with suppress(OSError):
            part.unlink()
    return result


def _loaded(run: RunFolder, checkpoint: str) -> tuple[nn.Module, Any, dict[str, str]]:
    """The model in fp32 on the CPU, its config, and what the file says of itself."""
    task = run.task
    about = {
        "vocctl": __version__, "task": str(task), "checkpoint": checkpoint,
        "input": "images, (B, 3, H, W) float32, RGB, values in [0, 1]; normalization is part of the model",
    }  # fmt: skip
    if task == "train-seg":
        seg = run.config(TrainSegConfig())
        model: nn.Module = Segmenter(replace(seg.model, weights="none"))
        config: TrainSegConfig | TrainClsConfig = seg
        about["output"] = "logits, (B, 21, H, W): softmax over the classes, then resize to the image, then the largest"
        about["class_names"] = json.dumps(SEG_CLASSES)
    elif task == "train-cls":
        cls = run.config(TrainClsConfig())
        model = Classifier(replace(cls.model, weights="none"), cls.data.size)
        config = cls
        about["output"] = "logits, (B, 20): a sigmoid gives the probability of each class"
        about["class_names"] = json.dumps(CLASSES)
        kept = run.thresholds(checkpoint, cls.threshold.thresholds).tolist()
        about["thresholds"] = json.dumps(dict(zip(CLASSES, kept, strict=True)))
    else:
        raise ConfigError(f"{run.path} is a run of {task}: export takes one of train-seg or train-cls")
    about["preprocessing"] = json.dumps(
        {"color": "RGB", "scale": "1/255", "shorter_side": config.data.size, "sides": "multiples of 32",
         "shrink": "area", "enlarge": "bilinear"}
    )  # fmt: skip
    run.load_weights(checkpoint, model)
    return model.eval(), config, about


def _validation_images(run: RunFolder, config: Any, count: int) -> list[Tensor]:
    """(1, 3, H, W) each, num_images spread over those that the run validated on, as eval sends them."""
    _, _, part = eval_split(run, config.data, None, None)
    places = np.unique(np.linspace(0, len(part.images) - 1, min(max(count, 1), len(part.images))).round().astype(int))
    return [torch.from_numpy(np.array(part.images.image(i))).permute(2, 0, 1)[None].float() / 255 for i in places]


def _antialiased(mode: str) -> Callable[..., Any]:
    """What torch's exporter lacks: F.interpolate with antialias, which a ViT's position embeddings go through."""

    def resize(g: Any, images: Any, sides: Any, align_corners: Any, *scales: Any) -> Any:
        kept = symbolic_helper._slice_helper(g, g.op("Shape", images), axes=[0], starts=[0], ends=[2])
        shape = g.op("Concat", kept, g.op("Cast", sides, to_i=7), axis_i=0)  # 7: int64
        empty = g.op("Constant", value_t=torch.tensor([], dtype=torch.float32))
        how = {"mode_s": mode, "cubic_coeff_a_f": -0.5, "coordinate_transformation_mode_s": "half_pixel"}
        return g.op("Resize", images, empty, empty, shape, antialias_i=1, exclude_outside_i=1, **how)

    return resize


def _write(model: nn.Module, path: Path, run: RunFolder) -> None:
    segments = isinstance(model, Segmenter)
    free = {0: "batch", 2: "height", 3: "width"}
    for ours, theirs in (("linear", "bilinear"), ("cubic", "bicubic")):
        symbolic = f"aten::_upsample_{theirs}2d_aa"
        torch.onnx.register_custom_op_symbolic(symbolic, _antialiased(ours), OPSET)
    try:
        with warnings.catch_warnings(), torch.inference_mode():
            warnings.simplefilter("ignore")  # of tracing; what it got wrong would show in the comparison
            torch.onnx.export(
                _Fitted(model).eval() if isinstance(model, Segmenter) else model,  # what trains would leave it training
                (torch.rand(2, 3, 64, 96),),  # of no model's own shape, at which it would leave out resizing
                path,
                dynamo=False,
                opset_version=OPSET,
                input_names=["images"],
                output_names=["logits"],
                dynamic_axes={"images": free, "logits": free if segments else {0: "batch"}},
            )
    except (RuntimeError, ValueError, TypeError, NotImplementedError) as error:  # an operator that ONNX lacks
        reason = " ".join(str(error).split())[:160]
        raise RunError(
            f"the model of {run.path} can't be written as ONNX ({reason}): export a run of another model"
        ) from error


def _compared(
    model: nn.Module,
    session: Any,
    images: list[Tensor],
    path: Path,
    megabytes: float,
    on_image: Callable[[int, int], None],
) -> ExportResult:
    """Raises RunError: a logit that differs by more than the tolerance, alone or in a batch."""
    segments = isinstance(model, Segmenter)
    worst = worst_probability = 0.0
    same = total = 0
    for done, image in enumerate(images, start=1):
        batch = (
            image if done > 1 else torch.cat([image, image.flip(-1), image])
        )  # a batch of another size than was written
        with torch.inference_mode():
            expected = model(batch)
        try:
            got = torch.from_numpy(session.run(["logits"], {"images": batch.numpy()})[0])
        except Exception as error:  # ONNX Runtime's own have no common class
            reason = " ".join(str(error).split())[:160]
            raise RunError(f"{path}: ONNX Runtime can't run it ({reason}): export a run of another model") from error
        if got.shape != expected.shape:
            raise RunError(
                f"{path}: ONNX gives {tuple(got.shape)}, the run {tuple(expected.shape)}: export another run"
            )
        worst = max(worst, (got - expected).abs().max().item() / max(1.0, expected.abs().max().item()))
        of = (lambda logits: logits.softmax(1)) if segments else torch.sigmoid
        worst_probability = max(worst_probability, (of(got) - of(expected)).abs().max().item())
        agree = got.argmax(1) == expected.argmax(1) if segments else (got > 0) == (expected > 0)
        same, total = same + int(agree.sum()), total + agree.numel()
        on_image(done, len(images))
    if not worst <= TOLERANCE:
        raise RunError(
            f"{path}: ONNX differs from the run by {worst:.1e} on real num_images, the limit is {TOLERANCE:.0e}"
        )
    return ExportResult(path, len(images), worst, worst_probability, same / total, megabytes)
