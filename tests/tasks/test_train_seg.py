"""Training a segmenter end to end on eight drawn images: it repeats bit for bit, resumes after every death, and obeys signals."""

import json
import os
import signal
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from processes import StartedProcess, run_vocctl, start
from run_comparison import (
    assert_equal_runs,
    have_equal_weights,
    interrupt_after_epoch,
    read_metrics,
    reporter_with,
)
from vocctl.config import EvalOptions, ModelConfig, TrainSegConfig, given
from vocctl.errors import ConfigError, DataError, Interrupted, RunError, Terminated
from vocctl.inference.predict import predict_probs
from vocctl.models.segmenter import Segmenter
from vocctl.tasks import train_seg
from vocctl.tasks.evaluate_seg import evaluate
from vocctl.tasks.train_seg import resume, run
from vocctl.training import launch, pixel_probe, trainer
from vocctl.training.reporter import TrainProgress


@pytest.fixture(autouse=True)
def _few_probe_pixels(monkeypatch: pytest.MonkeyPatch) -> None:
    """The pixel classifier is fitted to 40 pixels of each image instead of 200, to save time."""
    monkeypatch.setattr(pixel_probe, "MAX_PER_IMAGE", 40)


def tiny_config(data: Path, **flags: object) -> TrainSegConfig:
    """Eight training images in batches of two: four steps per epoch."""
    small = {
        "encoder": "scratch", "decoder": "unet", "widths": (8, 8, 8), "size": 32, "batch": 2, "epochs": 2,
        "precision": "fp32",
    }  # fmt: skip
    return given(TrainSegConfig(), path=str(data), **(small | flags))


def raise_error(*args: object) -> None:
    """Stands for a process that dies: nothing is saved from here on."""
    raise ZeroDivisionError


def test_run_learns_and_leaves_its_files(tiny: Path, tmp_path: Path) -> None:
    config = tiny_config(
        tiny, widths=(16, 16, 16), epochs=25, lr=0.003, encoder_lr=1.0, ema=0.9, loss_stride=1, eval_every=5
    )
    result = run(config, tmp_path / "run")
    records = read_metrics(tmp_path / "run")
    assert [record["epoch"] for record in records] == [5, 10, 15, 20, 25]
    assert records[-1]["train_loss"] < 0.7 * records[0]["train_loss"]
    # gray background, red and blue squares: predicting only background gives a mean IoU of at most 1/3
    assert result.scores["mean_iou"] > 0.5
    assert {path.name for path in (tmp_path / "run").iterdir()} == {
        "config.toml", "run.json", "split.json", "metrics.jsonl", "best.safetensors", "final.safetensors", "state"
    }  # fmt: skip
    info = json.loads((tmp_path / "run" / "run.json").read_text())
    assert info["data"]["train"] == 8
    assert info["parameters"]["with skips"] > info["parameters"]["without skips"]


def test_equal_seeds_give_equal_runs(tiny: Path, tmp_path: Path) -> None:
    for name, seed in (("seed3", 3), ("seed3-again", 3), ("seed4", 4)):
        run(tiny_config(tiny, seed=seed, augment="strong"), tmp_path / name)
    assert_equal_runs(tmp_path / "seed3", tmp_path / "seed3-again")
    assert not have_equal_weights(tmp_path / "seed3", tmp_path / "seed4")


def test_number_of_workers_changes_nothing(tiny: Path, tmp_path: Path) -> None:
    for workers in (0, 2):
        run(tiny_config(tiny, workers=workers, epochs=1, augment="strong"), tmp_path / f"{workers}")
    assert have_equal_weights(tmp_path / "0", tmp_path / "2")


def test_resumed_run_with_images_on_the_device_equals_uninterrupted_run(tiny: Path, tmp_path: Path) -> None:
    config = tiny_config(tiny, augment_on="gpu", augment="strong", epochs=4)
    run(config, tmp_path / "uninterrupted")
    with pytest.raises(Interrupted, match="resume with"):
        run(config, tmp_path / "resumed", reporter=interrupt_after_epoch(2))
    resume(str(tmp_path / "resumed"))
    assert_equal_runs(tmp_path / "uninterrupted", tmp_path / "resumed")


def test_run_that_died_within_an_epoch_resumes_bit_for_bit_without_ema(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """tests/tasks/test_kills.py kills processes that train with a moving average."""
    monkeypatch.setattr(trainer, "REPORT_INTERVAL", 0)
    config = tiny_config(tiny, epochs=3, ema=0.0, augment="strong", save_every=1e-9)
    run(config, tmp_path / "uninterrupted")

    def die_at_step_7(progress: TrainProgress) -> None:
        if (progress.epoch, progress.batch) == (2, 3):
            raise_error()

    with pytest.raises(ZeroDivisionError):
        run(config, tmp_path / "resumed", reporter=reporter_with(progress=die_at_step_7))
    newest = max(path.name for path in (tmp_path / "resumed" / "state").iterdir())
    assert newest == "step-0000006-0001-000002.safetensors"  # two batches of the second epoch
    assert not (tmp_path / "resumed" / "final.safetensors").exists()
    resume(str(tmp_path / "resumed"))
    assert_equal_runs(tmp_path / "uninterrupted", tmp_path / "resumed")


def test_run_stopped_after_the_last_step_of_an_epoch_still_validates_it(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trainer, "REPORT_INTERVAL", 0)
    config = tiny_config(tiny)
    run(config, tmp_path / "uninterrupted")

    def send_signal_in_step_4(progress: TrainProgress) -> None:
        if (progress.epoch, progress.batch) == (1, 3):  # reported before the fourth and last step of the epoch
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(Interrupted, match="stopped at step 4"):
        run(config, tmp_path / "resumed", reporter=reporter_with(progress=send_signal_in_step_4))
    assert not (tmp_path / "resumed" / "metrics.jsonl").exists()
    resume(str(tmp_path / "resumed"))
    assert read_metrics(tmp_path / "resumed") == read_metrics(tmp_path / "uninterrupted")


def start_endless_run(data: Path, out: Path, *flags: str) -> StartedProcess:
    """Start a training in another process, one image per step. Return while it runs, when it has saved inside an epoch."""
    settings = (
        "--encoder scratch --decoder unet --widths 8,8,8 --size 64 --batch 1 --epochs 5000 --precision fp32 "
        "--save-every 0.00001"
    )
    process = start(
        run_vocctl, "train-seg", "--data", str(data), "--out", str(out), *settings.split(), *flags, folder=out.parent
    )
    deadline = time.monotonic() + 90
    while not any(int(path.stem.split("-")[-1]) >= 3 for path in out.glob("state/step-*.safetensors")):
        assert process.is_running(), process.stderr
        assert time.monotonic() < deadline
        time.sleep(0.005)
    return process


@pytest.mark.parametrize(("number", "exit_code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_signal_saves_and_prints_how_to_resume(
    tiny: Path, tmp_path: Path, number: signal.Signals, exit_code: int
) -> None:
    process = start_endless_run(tiny, tmp_path / "run")
    process.send(number)
    assert process.wait() == exit_code
    assert f"resume with --resume {tmp_path / 'run'}" in process.stderr.splitlines()[-1]
    assert "Traceback" not in process.stderr


def test_signal_to_the_process_group_does_not_kill_the_workers_before_the_save(tiny: Path, tmp_path: Path) -> None:
    process = start_endless_run(tiny, tmp_path / "run", "--workers", "2")
    process.send_to_group(signal.SIGTERM)
    assert process.wait() == 143, process.stderr
    assert f"resume with --resume {tmp_path / 'run'}" in process.stderr.splitlines()[-1]


def test_signal_during_validation_loses_no_step(tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = tiny_config(tiny, epochs=1)
    run(config, tmp_path / "uninterrupted")

    def predict_after_signal(*args: object, **options: object) -> object:
        os.kill(os.getpid(), signal.SIGTERM)
        return predict_probs(*args, **options)

    with monkeypatch.context() as patch:
        patch.setattr(train_seg, "predict_probs", predict_after_signal)
        with pytest.raises(Terminated, match="all is saved: resume with --resume"):
            run(config, tmp_path / "resumed")
    checkpoints = [path.name for path in (tmp_path / "resumed" / "state").iterdir()]
    assert checkpoints == ["step-0000004-0000-000004.safetensors"]
    assert not (tmp_path / "resumed" / "metrics.jsonl").exists()
    resume(str(tmp_path / "resumed"))
    assert_equal_runs(tmp_path / "uninterrupted", tmp_path / "resumed")


def test_nonfinite_loss_is_an_error_that_names_its_step(tiny: Path, tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"not finite at step [1-9]"):
        run(tiny_config(tiny, lr=1e30, clip_norm=0.0, warmup=0.0, epochs=5), tmp_path / "run")
    assert not (tmp_path / "run" / "final.safetensors").exists()


def test_minutes_end_the_run_and_a_note_says_that_it_cannot_be_repeated(tiny: Path, tmp_path: Path) -> None:
    notes: list[str] = []
    started = time.monotonic()
    run(tiny_config(tiny, minutes=0.02), tmp_path / "run", reporter=reporter_with(note=notes.append))
    assert (
        0.6 <= time.monotonic() - started < 30
    )  # 1.2 seconds, if a step and the last validation take as long as estimated
    assert any("cannot be repeated" in note for note in notes)


def test_minutes_that_end_between_accumulated_batches_let_the_step_finish(tiny: Path, tmp_path: Path) -> None:
    run(tiny_config(tiny, minutes=1e-6, accumulate=3), tmp_path / "run")
    assert [record["step"] for record in read_metrics(tmp_path / "run")] == [1]


def test_run_that_died_in_its_last_validation_repeats_only_the_validation(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(train_seg.SegmentationTask, "validate", raise_error)
        with pytest.raises(ZeroDivisionError):
            run(tiny_config(tiny, minutes=1e-6), tmp_path / "run")  # the minutes are over after one step
    result = resume(str(tmp_path / "run"))
    assert [record["step"] for record in read_metrics(tmp_path / "run")] == [1]
    assert result.best == result.scores["mean_iou"] == read_metrics(tmp_path / "run")[0]["mean_iou"]
    assert (tmp_path / "run" / "best.safetensors").exists()


def test_run_that_died_before_run_json_was_complete_writes_it_when_resumed(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(launch, "write_run_info", raise_error)
        with pytest.raises(ZeroDivisionError):
            run(tiny_config(tiny, epochs=1), tmp_path / "run")
    assert not (tmp_path / "run" / "split.json").exists()
    resume(str(tmp_path / "run"))
    assert json.loads((tmp_path / "run" / "run.json").read_text())["data"]["train"] == 8
    assert evaluate(str(tmp_path / "run")).info.num_images == 4


def test_run_that_died_before_its_first_checkpoint_starts_again_from_pretrained_weights(
    tiny: Path, tmp_path: Path
) -> None:
    config = tiny_config(tiny, encoder="tf_efficientnet_lite0", decoder="linear", batch=4, epochs=1)
    run(config, tmp_path / "uninterrupted")
    with pytest.raises(ZeroDivisionError):
        run(config, tmp_path / "resumed", reporter=reporter_with(progress=raise_error))
    assert list((tmp_path / "resumed" / "state").iterdir()) == []
    notes: list[str] = []
    resume(str(tmp_path / "resumed"), reporter=reporter_with(note=notes.append))
    assert any("it starts again" in note for note in notes)
    assert_equal_runs(tmp_path / "uninterrupted", tmp_path / "resumed")


def test_size_0_is_chosen_once_and_saved(tiny: Path, tmp_path: Path) -> None:
    """The tiny images have sides of 32 pixels."""
    run(tiny_config(tiny, size=0, epochs=1), tmp_path / "run")
    assert "size = 32" in (tmp_path / "run" / "config.toml").read_text()
    assert evaluate(str(tmp_path / "run")).info.num_images == 4


def test_patience_stops_early(tiny: Path, tmp_path: Path) -> None:
    run(tiny_config(tiny, epochs=50, patience=1, lr=1e-12, ema=0.0), tmp_path / "run")
    assert len(read_metrics(tmp_path / "run")) < 50


def test_accumulating_two_batches_halves_the_steps(tiny: Path, tmp_path: Path) -> None:
    run(tiny_config(tiny, accumulate=2, epochs=1), tmp_path / "run")
    assert read_metrics(tmp_path / "run")[0]["step"] == 2  # eight images in batches of two, two batches per step


@pytest.mark.parametrize("loss", ["ce", "dice", "ce+dice", "focal", "lovasz"])
def test_every_loss_trains(tiny: Path, tmp_path: Path, loss: str) -> None:
    assert run(tiny_config(tiny, loss=loss, epochs=1), tmp_path / "run").scores["val_loss"] > 0


def test_vit_with_dpt_decoder_trains_and_is_evaluated(tiny: Path, tmp_path: Path) -> None:
    flags = {"encoder": "vit_tiny_patch16_224", "decoder": "dpt", "weights": "none", "size": 32}
    run(tiny_config(tiny, **flags, batch=4, epochs=1), tmp_path / "run")
    assert evaluate(str(tmp_path / "run")).info.num_images == 4


def frozen_config(data: Path, **flags: object) -> TrainSegConfig:
    frozen = {"encoder": "tf_efficientnet_lite0", "decoder": "mlp", "freeze_encoder": True, "batch": 4}
    return tiny_config(data, **(frozen | flags))


def test_a_frozen_encoder_keeps_its_pretrained_weights(tiny: Path, tmp_path: Path) -> None:
    """With the features of the cache, and with those of augmented images."""
    pretrained = Segmenter(ModelConfig(encoder="tf_efficientnet_lite0", decoder="mlp")).state_dict()
    for name, flags in {"cached": {}, "images": {"cache_features": False, "augment": "strong"}}.items():
        result = run(frozen_config(tiny, lr=0.01, **flags), tmp_path / name)
        assert result.scores["mean_iou"] > 1 / 3  # more than the background is found
        saved = load_file(tmp_path / name / "best.safetensors")
        encoder = [key for key in saved if key.startswith(("backbone.encoder.", "normalize."))]
        assert all(torch.equal(saved[key], pretrained[key]) for key in encoder)
        assert len(encoder) > 80
        assert not torch.equal(
            saved["backbone.decoder.layers.0.weight"], pretrained["backbone.decoder.layers.0.weight"]
        )
    assert not have_equal_weights(tmp_path / "cached", tmp_path / "images")


def features_in(cache: Path) -> set[str]:
    return {path.name for path in cache.glob("features-*") if path.is_dir()}


def test_resumed_run_with_cached_features_equals_uninterrupted_run(tiny: Path, tmp_path: Path) -> None:
    config = frozen_config(tiny, cache_dir=str(tmp_path / "cache"), epochs=3)
    run(config, tmp_path / "uninterrupted")
    features = features_in(tmp_path / "cache")
    assert len(features) == 3  # of the training images, of their mirror images and of the validation images
    with pytest.raises(Interrupted, match="resume with"):
        run(config, tmp_path / "resumed", reporter=interrupt_after_epoch(1))
    resume(str(tmp_path / "resumed"))
    assert_equal_runs(tmp_path / "uninterrupted", tmp_path / "resumed")
    assert features_in(tmp_path / "cache") == features  # the resumed run used the same ones


def test_scores_of_cached_features_are_those_of_eval(tiny: Path, tmp_path: Path) -> None:
    """Cached features are rounded to half precision, which moves a label at most here and there."""
    result = run(frozen_config(tiny, lr=0.01), tmp_path / "run")
    evaluation = evaluate(str(tmp_path / "run"), EvalOptions(split="val", checkpoint="final"))
    assert evaluation.scores["mean_iou"] == pytest.approx(result.scores["mean_iou"], abs=0.01)


def test_adversarial_training_needs_images_and_a_frozen_encoder_pretrained_weights(tiny: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="--freeze-encoder keeps pretrained features: random weights have none"):
        frozen_config(tiny, weights="none")
    with pytest.raises(ConfigError, match="--freeze-encoder keeps pretrained features"):
        frozen_config(tiny, encoder="scratch")
    with pytest.raises(ConfigError, match=r"--adv-train attacks images.*: add --no-cache-features"):
        frozen_config(tiny, adv_train="pgd-3")
    run(frozen_config(tiny, adv_train="pgd-1", cache_features=False, epochs=1), tmp_path / "run")


def test_the_probe_uses_as_many_images_as_there_is_time_for(tiny: Path, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(train_seg, "num_images_in", lambda *args: 3)
    counts: list[tuple[str, int, int]] = []
    config = tiny_config(tiny, encoder="tf_efficientnet_lite0", decoder="linear", epochs=1)
    run(config, tmp_path / "run", reporter=reporter_with(count=lambda *count: counts.append(count)))
    assert ("features of images", 3, 3) in counts


@pytest.mark.parametrize("decoder", ["linear", "mlp", "unet"])
def test_the_pixel_classifier_is_fitted_first(tiny: Path, tmp_path: Path, decoder: str) -> None:
    """Training itself moves nothing at this learning rate: the scores are the probe's."""
    scores = {}
    for probe in (True, False):
        config = tiny_config(
            tiny, encoder="tf_efficientnet_lite0", decoder=decoder, probe=probe, lr=1e-12, batch=4, epochs=1, ema=0.0
        )
        scores[probe] = run(config, tmp_path / f"{probe}").scores
    assert scores[True]["mean_iou"] > 1 / 3 > scores[False]["mean_iou"]
    assert scores[True]["val_loss"] < scores[False]["val_loss"]


def test_a_vit_with_a_pixel_classifier_trains_and_resumes(tiny: Path, tmp_path: Path) -> None:
    config = tiny_config(tiny, encoder="vit_tiny_patch16_224", decoder="linear", weights="none", batch=4)
    run(config, tmp_path / "uninterrupted")
    with pytest.raises(Interrupted, match="resume with"):
        run(config, tmp_path / "resumed", reporter=interrupt_after_epoch(1))
    resume(str(tmp_path / "resumed"))
    assert_equal_runs(tmp_path / "uninterrupted", tmp_path / "resumed")


def test_finished_runs_and_changed_data_are_not_resumed(tiny: Path, tmp_path: Path) -> None:
    run(tiny_config(tiny, epochs=1), tmp_path / "run")
    with pytest.raises(ConfigError, match="has finished"):
        resume(str(tmp_path / "run"))
    masks = tiny / "VOCdevkit" / "VOC2009" / "SegmentationClass"
    (masks / "tiny_000.png").write_bytes((masks / "tiny_001.png").read_bytes())
    with pytest.raises(DataError, match="has changed"):
        resume(str(tmp_path / "run"))


def test_images_in_both_splits_are_reported(tiny: Path, tmp_path: Path) -> None:
    notes: list[str] = []
    config = tiny_config(tiny, val_split="trainval", epochs=1)
    run(config, tmp_path / "run", reporter=reporter_with(note=notes.append))
    assert any("8 images are in both splits" in note for note in notes)
