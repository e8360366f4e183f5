"""Train a classifier: a config in, a run folder, its thresholds and its scores out."""

from dataclasses import replace
from pathlib import Path
from typing import get_args

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from vocctl.config import Thresholds, TrainClsConfig
from vocctl.data.cache import CachedSplit
from vocctl.data.datasets import EvalDataset, TrainDataset
from vocctl.data.feature_cache import CachedFeatures
from vocctl.data.feature_dataset import PooledDataset, pooled
from vocctl.data.loaders import eval_loader
from vocctl.data.splits import LabeledSplit, Splits, images_with_masks, open_cls_splits
from vocctl.devices import DeviceSetup, loader_workers
from vocctl.errors import ConfigError, DataError
from vocctl.inference.predict import predict_label_probs
from vocctl.inference.thresholds import binarize, fit_thresholds
from vocctl.labels import CLASSES, IGNORE
from vocctl.losses.classification import bce_loss, loss_function
from vocctl.metrics.average_precision import class_aps, mean_defined
from vocctl.metrics.multilabel import sample_f1
from vocctl.models.classifier import Classifier, PooledFeatures
from vocctl.runs.folder import RunFolder
from vocctl.seeding import seed_everything
from vocctl.training import launch
from vocctl.training.adversarial import adversarial_examples, training_attack
from vocctl.training.encoder_features import HasEncoder, encoder_features, num_images_in
from vocctl.training.mixup import batch_mixing
from vocctl.training.optim import encoder_lr_scale
from vocctl.training.pixel_probe import MAX_PROBE_IMAGES as MAX_MASKED_IMAGES
from vocctl.training.pixel_probe import fit_pixel_classifier
from vocctl.training.probe import evenly_spaced, linear_probe
from vocctl.training.reporter import Reporter, reporting
from vocctl.training.signals import InterruptCheck
from vocctl.training.task import Scores, TrainResult

COMMAND = "train-cls"
MAX_PROBE_IMAGES = 20_000  # the linear probe is fitted on at most this many images, evenly spaced: 100 MB of features
MAX_POS_WEIGHT = 20.0  # of --pos-weight auto; a class with two images would dominate the others


def run(
    config: TrainClsConfig,
    out: Path | None = None,
    *,
    name: str | None = None,
    reporter: Reporter | None = None,
    command_started: float | None = None,
) -> TrainResult:
    """Train a new run into out, or into runs/cls/<name>. Raises VocctlError as training/launch.py's train does."""
    return launch.train(
        ClassificationTask, config, COMMAND, out=out, name=name, reporter=reporter, command_started=command_started
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
        ClassificationTask,
        TrainClsConfig(),
        COMMAND,
        name,
        data=data,
        reporter=reporter,
        command_started=command_started,
    )


class ClassificationTask:
    """A multi-label classifier, whose head may start as a linear probe. See training/task.py."""

    def __init__(self, config: TrainClsConfig, setup: DeviceSetup, reporter: Reporter, resumed: bool) -> None:
        training_attack(config.adversarial_training)  # raises before any work is done
        self.mix_batch = batch_mixing(config)
        self.config, self.setup, self.reporter = config, setup, reporter
        self.splits = open_cls_splits(config.data, reporter.count)
        if not resumed:
            check_class_coverage(self.splits, reporter)
        seed_everything(config.train.seed)
        self.masked: CachedSplit | None = None  # the training images with masks, if the masks are used
        if not resumed and config.model.uses_mask_evidence:
            self.masked = self._open_masks()
            if self.masked is None:
                self.config = config = replace(config, model=replace(config.model, mask_evidence=False))
        self.model = Classifier(
            config.model, config.data.size, load_pretrained=not resumed or config.model.freeze_encoder
        )
        self.dataset: Dataset = TrainDataset(self.splits.train, augment=config.data.augment, seed=config.train.seed)
        self.probes = config.optim.probe and config.model.pretrained
        if config.model.freeze_encoder and self.model.head is None:
            raise ConfigError(
                f"--freeze-encoder trains a linear head, which {config.model.model} does not have: omit it"
            )
        if self.probes and self.model.head is None:
            reporter.note(f"{config.model.model} does not end in a linear layer: its head is newly initialized")
            self.probes = False
        self.backbone_lr_scale = encoder_lr_scale(config, TrainClsConfig(), reporter.note)
        weights = pos_weight(self.splits.train.targets).to(setup.device) if config.loss.pos_weight == "auto" else None
        self.label_loss = loss_function(config.loss, weights)
        self.attack_batch = adversarial_examples(config.adversarial_training, self.model, self.model)
        self.find_unused_parameters = config.optim.freeze_epochs > 0
        self.last_val_probs: np.ndarray | None = None  # of the weights that were validated last
        self.val_features: Tensor | None = None  # (N, D), if the encoder is frozen
        self.parameter_counts = {"model": sum(parameter.numel() for parameter in self.model.parameters())}
        self.run_name = f"{self.splits.source.name}-{config.model.model}-{config.loss.loss}-s{config.train.seed}"

    def lr_scales(self) -> dict[str, float]:
        head = self.backbone_lr_scale if self.probes else 1.0  # a probed head is trained already
        return self.model.lr_scales(self.backbone_lr_scale, self.config.optim.layer_decay, head_lr_scale=head)

    def before_training(self, check_interrupt: InterruptCheck, *, resumed: bool) -> None:
        train = self.splits.train
        if self.config.model.freeze_encoder:
            views = [
                self._features(self.model, train.images, check_interrupt, mirrored=mirrored)
                for mirrored in (False, True)
            ]
            self.dataset = PooledDataset(train.targets, views, seed=self.config.train.seed)
            self.val_features = pooled(self._features(self.model, self.splits.val.images, check_interrupt))
        if self.probes and not resumed:
            self._fit_to_frozen_features(train, check_interrupt)

    def on_epoch_start(self, epoch: int) -> None:
        self.model.freeze_backbone(self.config.model.freeze_encoder or epoch < self.config.optim.freeze_epochs)

    def loss(self, network: nn.Module, images: Tensor, targets: Tensor) -> Tensor:
        images, targets = self.mix_batch(images, targets)
        return self.label_loss(network(self.attack_batch(images, targets)), targets)

    @property
    def num_validated(self) -> int:
        return len(self.splits.val.images)

    def validate(self, model: nn.Module, check_interrupt: InterruptCheck, limit: int | None = None) -> Scores:
        """val_loss is binary cross-entropy. sample_f1 uses thresholds of 0.5, so that nothing is fitted to these images."""
        split = self.splits.val.take(np.arange(limit or self.num_validated))
        targets = split.targets
        probs = self._label_probs(model, split, check_interrupt)
        self.last_val_probs = probs if limit is None else None
        logits = torch.from_numpy(probs).double().logit(eps=1e-7)
        predicted = binarize(probs, np.full(len(CLASSES), 0.5))
        return {
            "val_loss": bce_loss(logits, torch.from_numpy(targets)).item(),
            **{f"map_{name}": mean_defined(aps) for name, aps in class_aps(probs, targets).items()},
            "sample_f1": float(sample_f1(predicted & (targets != IGNORE), targets == 1).mean()),
        }

    def on_saved(self, run: RunFolder, checkpoint: str, model: nn.Module, check_interrupt: InterruptCheck) -> None:
        """Fit thresholds of every kind for this checkpoint on the validation images, into thresholds.json."""
        split = self.splits.val
        if self.last_val_probs is None:  # the run was stopped between its last validation and this moment
            self.last_val_probs = self._label_probs(model, split, check_interrupt)
        thresholds = {
            kind: fit_thresholds(self.last_val_probs, split.targets, kind).tolist() for kind in get_args(Thresholds)
        }
        run.save_thresholds(checkpoint, thresholds)

    def _open_masks(self) -> CachedSplit | None:
        """The training images with masks. None, with a note: there are none, they cannot be read, or there is no probe."""
        if not self.config.optim.probe:
            return None
        try:
            masked = images_with_masks(self.splits, self.config.data, self.reporter.count)
        except DataError as error:
            self.reporter.note(f"masks are not used: {error}")
            return None
        if masked is None:
            self.reporter.note("no training image has a mask: labels alone are used")
        return masked

    def _fit_to_frozen_features(self, train: LabeledSplit, check_interrupt: InterruptCheck) -> None:
        """Fit the head to labels, and the mask evidence to masks, on the pretrained features of images as they are."""
        head = self.model.head
        if head is None:
            return
        masked, others = self._probe_images(train.images)
        features, ids = [], [*masked.ids, *others.ids]
        if self.model.evidence is not None and len(masked):
            maps = self._features(self.model, masked, check_interrupt)
            fit_pixel_classifier(
                self.model.evidence.pixels,
                masked,
                [maps.without_last_map()],
                seed=self.config.train.seed,
                on_step=reporting(self.reporter, "fitting the pixel classifier, steps", check_interrupt),
            )
            features.append(pooled(maps))
        if len(others):
            encoder = self.model if self.model.evidence is None else PooledFeatures(self.model)
            features.append(pooled(self._features(encoder, others, check_interrupt)))
        targets = dict(zip(train.images.ids, train.targets, strict=True))
        weight, bias = linear_probe(
            torch.cat(features), torch.from_numpy(np.stack([targets[image_id] for image_id in ids]))
        )
        with torch.no_grad():
            head.weight.copy_(weight)
            head.bias.copy_(bias)

    def _probe_images(self, train: CachedSplit) -> tuple[CachedSplit, CachedSplit]:
        """Images with masks, none if masks are not used, and other training images: as many as there is time for."""
        most = num_images_in(self.config.train.minutes, self.model, train, self.setup, self.config.data)
        most = min(most, MAX_PROBE_IMAGES)
        masked = self.masked or train.take([])
        masked = masked.take(evenly_spaced(len(masked), min(most, MAX_MASKED_IMAGES)))
        with_masks = set(masked.ids)
        others = [index for index, image_id in enumerate(train.ids) if image_id not in with_masks]
        chosen = evenly_spaced(len(others), most - len(masked))
        return masked, train.take([others[index] for index in chosen])

    def _features(
        self, model: HasEncoder, images: CachedSplit, check_interrupt: InterruptCheck, *, mirrored: bool = False
    ) -> CachedFeatures:
        on_image = reporting(self.reporter, f"features of {'mirrored ' if mirrored else ''}images", check_interrupt)
        return encoder_features(model, images, self.setup, self.config.data, mirrored=mirrored, on_image=on_image)

    def _label_probs(self, model: nn.Module, split: LabeledSplit, check_interrupt: InterruptCheck) -> np.ndarray:
        """(N, 20) probabilities of a split's images; from their cached features if there are some."""
        if self.val_features is not None:
            with torch.inference_mode():
                logits = model.eval()(self.val_features[: len(split.images)].to(self.setup.device))
            return logits.float().sigmoid().cpu().numpy()
        return predict_label_probs(
            model, self._loader(split), len(split.images), device=self.setup.device, precision=self.setup.precision,
            on_image=lambda done, total: check_interrupt(), shared=True,
        )  # fmt: skip

    def _loader(self, split: LabeledSplit) -> DataLoader:
        """This process's images of a split, without augmentation."""
        workers, pin = loader_workers(self.config.data.workers, self.setup.device), self.setup.device.type == "cuda"
        return eval_loader(EvalDataset(split.images), self.config.train.batch, workers=workers, pin=pin, shared=True)


def check_class_coverage(splits: Splits, reporter: Reporter) -> None:
    """Report classes without a positive label in a split. Raises DataError if a split has no positive label at all."""
    for name, split in (("training", splits.train), ("validation", splits.val)):
        positives = (split.targets == 1).sum(0)
        absent = [class_name for class_name, count in zip(CLASSES, positives, strict=True) if count == 0]
        if len(absent) == len(CLASSES):
            raise DataError(f"{splits.source.root}: no {name} image shows a class, choose another split")
        if absent:
            reporter.note(f"no {name} image shows {', '.join(absent)}: not scored there, printed as -")


def pos_weight(targets: np.ndarray) -> Tensor:
    """(20,) negatives / positives of each class, at most MAX_POS_WEIGHT; 1 for a class without positives."""
    positives, negatives = (targets == 1).sum(0), (targets == 0).sum(0)
    weights = np.where(positives > 0, np.minimum(negatives / np.maximum(positives, 1), MAX_POS_WEIGHT), 1.0)
    return torch.tensor(weights, dtype=torch.float32)
