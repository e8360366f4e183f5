"""ONNX export: the file predicts what the run predicts, on other batches and sizes too, or it is not written."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from vocctl.config import TrainClsConfig, TrainSegConfig, given
from vocctl.errors import ConfigError, RunError
from vocctl.labels import CLASSES, SEG_CLASSES
from vocctl.tasks import export as task
from vocctl.tasks.export import export

onnxruntime = pytest.importorskip("onnxruntime", reason="the extra [export] is not installed")


def session(path: Path):
    return onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])


@pytest.mark.parametrize("kind", ["seg", "cls"])
def test_onnx_model_equals_the_run_on_any_batch_and_size(trained, kind: str) -> None:
    run = getattr(trained, kind)
    result = export(str(run), num_images=3)
    assert result.path == run / "best.onnx"
    assert result.num_images == 3
    assert result.difference < 1e-4
    assert result.agreement > 0.999
    model = task._load(task.open_run(str(run)), "best").model
    for shape in ((1, 3, 64, 96), (5, 3, 32, 32)):
        images = torch.rand(shape)
        with torch.inference_mode():
            expected = model(images).numpy()
        (logits,) = session(result.path).run(None, {"images": images.numpy()})
        assert logits.shape == expected.shape
        assert np.abs(logits - expected).max() < 1e-4 * max(1, np.abs(expected).max())


def test_metadata_of_the_onnx_file(trained) -> None:
    seg = session(export(str(trained.seg), num_images=1).path).get_modelmeta().custom_metadata_map
    assert json.loads(seg["class_names"]) == list(SEG_CLASSES)
    assert json.loads(seg["preprocessing"])["shorter_side"] == 32
    cls = session(export(str(trained.cls), num_images=1, checkpoint="final").path).get_modelmeta().custom_metadata_map
    assert list(json.loads(cls["thresholds"])) == list(CLASSES)
    assert cls["checkpoint"] == "final"


def test_file_that_differs_from_the_run_is_removed(trained, monkeypatch: pytest.MonkeyPatch) -> None:
    write = task._write

    def write_changed_weights(exportable, path):
        with torch.no_grad():
            for parameter in exportable.model.parameters():
                parameter.add_(0.05)
        write(exportable, path)
        with torch.no_grad():
            for parameter in exportable.model.parameters():
                parameter.sub_(0.05)

    monkeypatch.setattr(task, "_write", write_changed_weights)
    with pytest.raises(RunError, match="ONNX differs from the run by"):
        export(str(trained.seg), num_images=1)
    assert not list(trained.seg.glob("*.onnx*"))


def test_wrong_options_are_errors(trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match="--format is onnx"):
        export(str(trained.seg), form="tflite")
    with pytest.raises(ConfigError, match="--checkpoint is one of best, final"):
        export(str(trained.seg), checkpoint="last")
    (tmp_path / "taken").write_text("")
    with pytest.raises(RunError, match="cannot be written"):
        export(str(trained.seg), out=tmp_path / "taken" / "model.onnx", num_images=1)
    monkeypatch.setitem(__import__("sys").modules, "onnxruntime", None)
    with pytest.raises(ConfigError, match=r'pip install "vocctl\[export\]"'):
        export(str(trained.seg))


@pytest.mark.parametrize("mode", ["bilinear", "bicubic"])
def test_antialiased_resize_equals_torch(trained, tmp_path: Path, mode: str) -> None:
    class Resized(torch.nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return torch.nn.functional.interpolate(images, size=(24, 40), mode=mode, antialias=True)

    exportable = replace(task._load(task.open_run(str(trained.cls)), "best"), traced=Resized())
    task._write(exportable, tmp_path / "resized.onnx")
    for sides in ((96, 64), (16, 24)):
        images = torch.rand(3, 3, *sides)
        (logits,) = session(tmp_path / "resized.onnx").run(None, {"images": images.numpy()})
        assert np.abs(logits - Resized()(images).numpy()).max() < 1e-5


@pytest.mark.parametrize("config", [TrainSegConfig(), TrainClsConfig()], ids=["segmenter", "classifier"])
def test_default_models_agree_on_real_images(shared: Path, tmp_path: Path, config) -> None:
    """Untrained heads over ImageNet weights: the graphs are compared, not the accuracy."""
    from vocctl.runs.folder import create_run

    small = given(config, path=str(shared / "voc-photos"), cache_dir=str(tmp_path / "cache"), size=128)
    folder = create_run(tmp_path / "run", "train-cls" if isinstance(config, TrainClsConfig) else "train-seg", small)
    if isinstance(config, TrainClsConfig):
        folder.write_json("thresholds.json", {"best": {"global": [0.5] * 20}})
        model = task.Classifier(small.model, 128)
    else:
        model = task.Segmenter(small.model)
    folder.save_weights("best", model, {})
    result = export(str(folder.path), num_images=6)
    assert result.difference < 1e-4
    assert result.probability_difference < 1e-4
