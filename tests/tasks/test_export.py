"""ONNX: the file answers as the run does, on batches and sizes of its own, and says what it is; else there is no file."""

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
def test_it_answers_as_the_run_on_any_batch_and_size(trained, kind: str) -> None:
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
        (got,) = session(result.path).run(None, {"images": images.numpy()})
        assert got.shape == expected.shape
        assert np.abs(got - expected).max() < 1e-4 * max(1, np.abs(expected).max())


def test_the_file_says_what_it_is(trained) -> None:
    seg = session(export(str(trained.seg), num_images=1).path).get_modelmeta().custom_metadata_map
    assert json.loads(seg["class_names"]) == list(SEG_CLASSES)
    assert json.loads(seg["preprocessing"])["shorter_side"] == 32
    cls = session(export(str(trained.cls), num_images=1, checkpoint="final").path).get_modelmeta().custom_metadata_map
    assert list(json.loads(cls["thresholds"])) == list(CLASSES)
    assert cls["checkpoint"] == "final"


def test_a_file_that_differs_from_the_run_is_not_kept(trained, monkeypatch: pytest.MonkeyPatch) -> None:
    write = task._write

    def write_another(exportable, path):
        with torch.no_grad():
            for parameter in exportable.model.parameters():
                parameter.add_(0.05)
        write(exportable, path)
        with torch.no_grad():
            for parameter in exportable.model.parameters():
                parameter.sub_(0.05)

    monkeypatch.setattr(task, "_write", write_another)
    with pytest.raises(RunError, match="ONNX differs from the run by"):
        export(str(trained.seg), num_images=1)
    assert not list(trained.seg.glob("*.onnx*"))


def test_what_cannot_be_exported_is_refused(trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match="--format is onnx"):
        export(str(trained.seg), form="tflite")
    with pytest.raises(ConfigError, match="--checkpoint is one of best, final"):
        export(str(trained.seg), checkpoint="last")
    (tmp_path / "taken").write_text("")
    with pytest.raises(RunError, match="cannot be written"):
        export(str(trained.seg), out=tmp_path / "taken" / "model.onnx", num_images=1)
    monkeypatch.setitem(__import__("sys").modules, "onnxruntime", None)
    with pytest.raises(ConfigError, match=r"pip install 'vocctl\[export\]'"):
        export(str(trained.seg))


@pytest.mark.parametrize("mode", ["bilinear", "bicubic"])
def test_a_resize_with_antialias_is_torchs(trained, tmp_path: Path, mode: str) -> None:
    class Resized(torch.nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return torch.nn.functional.interpolate(images, size=(24, 40), mode=mode, antialias=True)

    exportable = replace(task._load(task.open_run(str(trained.cls)), "best"), traced=Resized())
    task._write(exportable, tmp_path / "resized.onnx")
    for sides in ((96, 64), (16, 24)):
        images = torch.rand(3, 3, *sides)
        (got,) = session(tmp_path / "resized.onnx").run(None, {"images": images.numpy()})
        assert np.abs(got - Resized()(images).numpy()).max() < 1e-5


@pytest.mark.parametrize("config", [TrainSegConfig(), TrainClsConfig()], ids=["segmenter", "classifier"])
def test_the_default_models_agree_on_real_images(shared: Path, tmp_path: Path, config) -> None:
    """Untrained heads over ImageNet weights: what is compared is the graph, not the skill."""
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
