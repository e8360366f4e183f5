"""Train a segmenter: a config in, a run folder and its scores out."""

import math
from collections.abc import Iterable, Iterator
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.data import Dataset

from vocctl.config import TrainSegConfig, given
from vocctl.data.cache import CachedSplit
from vocctl.data.datasets import EvalDataset, TrainDataset
from vocctl.data.feature_cache import CachedFeatures
from vocctl.data.feature_dataset import FeatureDataset
from vocctl.data.loaders import eval_loader
from vocctl.data.source import open_dataset
from vocctl.data.splits import chosen_size, open_seg_splits
from vocctl.devices import DeviceSetup, loader_workers
from vocctl.distributed import all_gather_object, all_reduce_sum
from vocctl.inference.predict import predict_labels, predict_probs, predict_probs_from_features
from vocctl.labels import IGNORE, NUM_SEG_CLASSES
from vocctl.losses.segmentation import loss_function
from vocctl.metrics.confusion import confusion_matrix, seg_scores
from vocctl.models.encoder import is_plain_vit
from vocctl.models.segmenter import Segmenter, parameter_counts
from vocctl.runs.folder import RunFolder
from vocctl.seeding import seed_everything
from vocctl.training import launch
from vocctl.training.adversarial import adversarial_examples, training_attack
from vocctl.training.encoder_features import encoder_features, num_images_in
from vocctl.training.optim import encoder_lr_scale
from vocctl.training.pixel_probe import MAX_PROBE_IMAGES, fit_pixel_classifier
from vocctl.training.probe import evenly_spaced
from vocctl.training.reporter import Reporter, reporting
from vocctl.training.signals import InterruptCheck
from vocctl.training.task import Scores, TrainResult

COMMAND = "train-seg"


def run(
    config: TrainSegConfig,
    out: Path | None = None,
    *,
    name: str | None = None,
    reporter: Reporter | None = None,
    command_started: float | None = None,
) -> TrainResult:
    """Train a new run into out, or into runs/seg/<name>. Raises VocctlError as training/launch.py's train does."""
    return launch.train(
        SegmentationTask, config, COMMAND, out=out, name=name, reporter=reporter, command_started=command_started
    )


def resume(
    name: str,
    *,
    data: Path | None = None,
    reporter: Reporter | None = None,
    command_started: float | None = None,
) -> TrainResult:
    """Resume a run from its newest checkpoint. Raises VocctlError as training/launch.py's resume does."""
    return launch.resume(
        SegmentationTask, TrainSegConfig(), COMMAND, name, data=data, reporter=reporter, command_started=command_started
    )


class SegmentationTask:
    """A segmenter, pixel losses, and validation at the images' original sizes. See training/task.py."""

    def __init__(self, config: TrainSegConfig, setup: DeviceSetup, reporter: Reporter, resumed: bool) -> None:
        training_attack(config.adversarial_training)  # raises before any work is done
        if config.data.size == 0:
            source = open_dataset(Path(config.data.path))
            config = given(
                config, size=chosen_size(source, config.data.train_split, freezes_encoder=config.model.freeze_encoder)
            )
        self.config, self.setup, self.reporter = config, setup, reporter
        self.splits = open_seg_splits(config.data, reporter.count)
        seed_everything(config.train.seed)
        self.model = Segmenter(config.model, load_pretrained=not resumed or config.model.freeze_encoder)
        self.dataset: Dataset = TrainDataset(self.splits.train, augment=config.data.augment, seed=config.train.seed)
        self.probes = config.optim.probe and config.model.pretrained and self.model.pixel_classifier is not None
        self.uses_cached_features = config.reads_cached_features
        self.val_features: CachedFeatures | None = None
        self.stride = config.loss.loss_stride  # the loss is computed on every stride-th pixel per axis
        self.pixel_loss = loss_function(config.loss, setup.device)
        self.attack_batch = adversarial_examples(
            config.adversarial_training, self.model, lambda images: self.model(images, self.stride)
        )
        self.encoder_lr_scale = encoder_lr_scale(config, TrainSegConfig(), reporter.note)
        # dpt does not use the ViT's last norm and its head; a ViT under a pixel classifier its later blocks
        self.find_unused_parameters = config.model.decoder == "dpt" or is_plain_vit(config.model.encoder)
        self.parameter_counts = parameter_counts(self.model, config.model)
        skip = "" if config.model.skip else "-no-skip"
        model = f"{config.model.encoder}-{config.model.decoder}{skip}-{config.loss.loss}"
        self.run_name = f"{self.splits.source.name}-{model}-s{config.train.seed}"

    def lr_scales(self) -> dict[str, float]:
        return self.model.lr_scales(self.encoder_lr_scale, probed=self.probes)

    def before_training(self, check_interrupt: InterruptCheck, *, resumed: bool) -> None:
        """Compute features and fit the pixel classifier to them, where the settings ask for it."""
        train, val = self.splits.train.images, self.splits.val.images
        if self.uses_cached_features:
            views = [self._features(train, check_interrupt, mirrored=mirrored) for mirrored in (False, True)]
            self.dataset = FeatureDataset(train, views, seed=self.config.train.seed)
            self.val_features = self._features(val, check_interrupt)
        classifier = self.model.pixel_classifier
        if not self.probes or resumed or classifier is None:
            return
        if not self.uses_cached_features:
            most = num_images_in(self.config.train.minutes, self.model, train, self.setup, self.config.data)
            train = train.take(evenly_spaced(len(train), min(most, MAX_PROBE_IMAGES)))
            views = [self._features(train, check_interrupt)]
        fit_pixel_classifier(
            classifier,
            train,
            views,
            seed=self.config.train.seed,
            on_step=reporting(self.reporter, "fitting the pixel classifier, steps", check_interrupt),
        )
        self.model.init_from_pixel_classifier()

    def _features(
        self, images: CachedSplit, check_interrupt: InterruptCheck, *, mirrored: bool = False
    ) -> CachedFeatures:
        on_image = reporting(self.reporter, f"features of {'mirrored ' if mirrored else ''}images", check_interrupt)
        return encoder_features(self.model, images, self.setup, self.config.data, mirrored=mirrored, on_image=on_image)

    def on_epoch_start(self, epoch: int) -> None:
        """All epochs are alike."""

    def loss(self, network: nn.Module, images: Tensor, targets: Tensor) -> Tensor:
        if self.uses_cached_features:  # features (B, P, D) and labels (B, P) of points
            return self.pixel_loss(network(images)[..., None], targets[..., None])
        masks = targets[:, self.stride // 2 :: self.stride, self.stride // 2 :: self.stride]
        return self.pixel_loss(network(self.attack_batch(images, masks), self.stride), masks)

    @property
    def num_validated(self) -> int:
        return len(self.splits.val.images)

    def validate(self, model: nn.Module, check_interrupt: InterruptCheck, limit: int | None = None) -> Scores:
        """Scores at the images' original sizes, and val_loss: cross-entropy at the model's input size, mean over images."""
        images = self.splits.val.images.take(range(limit or self.num_validated))
        losses: list[Tensor] = []  # on the device until the end
        confusion = torch.zeros(NUM_SEG_CLASSES, NUM_SEG_CLASSES, dtype=torch.int64)
        probs = self._validation_probs(model, images, losses, check_interrupt)
        for index, labels in predict_labels(probs, images.original_sizes):
            confusion += confusion_matrix(torch.from_numpy(labels), torch.from_numpy(images.original_mask(index)))
        scores = seg_scores(all_reduce_sum(confusion))
        gathered = all_gather_object(torch.stack(losses).tolist() if losses else [])
        finite = [loss for part in gathered for loss in part if math.isfinite(loss)]  # nan: a mask that is all void
        return {
            "val_loss": math.fsum(finite) / max(len(finite), 1),
            "mean_iou": scores.mean_iou,
            "mean_dice": scores.mean_dice,
            "pixel_accuracy": scores.pixel_accuracy,
        }

    def _validation_probs(
        self, model: nn.Module, images: CachedSplit, losses: list[Tensor], check_interrupt: InterruptCheck
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield (indices, probabilities) of this process's images, and append each image's loss to losses."""
        device = self.setup.device
        for indices, probs in self._predicted(model, images):
            check_interrupt()
            for index, image_probs in zip(indices.tolist(), probs, strict=True):
                mask = torch.from_numpy(images.mask(index).copy()).to(device).long()
                log_probs = image_probs.clamp(min=1e-8).log()
                losses.append(F.nll_loss(log_probs[None], mask[None], ignore_index=IGNORE))
            yield indices, probs

    def _predicted(self, model: nn.Module, images: CachedSplit) -> Iterable[tuple[Tensor, Tensor]]:
        """(indices, probabilities) of this process's images; from their cached features if there are some."""
        device, precision = self.setup.device, self.setup.precision
        if self.val_features is not None:
            return predict_probs_from_features(
                model, self.val_features, images.sizes, device=device, precision=precision
            )
        loader = eval_loader(
            EvalDataset(images), self.config.train.batch, workers=loader_workers(self.config.data.workers, device),
            pin=device.type == "cuda", shared=True,
        )  # fmt: skip
        return predict_probs(model, loader, device=device, precision=precision)

    def on_saved(self, run: RunFolder, checkpoint: str, model: nn.Module, check_interrupt: InterruptCheck) -> None:
        """A segmenter is its weights alone."""
