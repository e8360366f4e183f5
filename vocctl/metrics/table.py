"""The table of all metrics: what the terminal, plots, report, `vocctl runs` and docs say about each of them.

To add a metric to `vocctl eval`, add a row here, and a field whose name is the row's key: to SegScores and seg_scores in
confusion.py for segmenters, to MultilabelScores and multilabel_scores in multilabel.py for classifiers. A field that holds
a value for each class becomes a column of the table. Metrics of a training run are computed in its task's validate, metrics
under attack in robustness/outcomes.py. The keys are those of scores.json, metrics.jsonl and attack.json. Nothing heavy is
imported here, so that `vocctl runs` starts fast.
"""

import math
from dataclasses import dataclass
from typing import Literal

Direction = Literal["higher", "lower"]  # which values are better; under attack: better for the victim model
Unit = Literal["percent", "levels", "plain"]
SCALES: dict[Unit, int] = {"percent": 100, "levels": 255, "plain": 1}  # printed value / stored value


@dataclass(frozen=True)
class Metric:
    key: str
    title: str  # table head and axis label
    definition: str  # with its source, and the value of the empty case
    better: Direction = "higher"
    unit: Unit = "percent"
    decimals: int = 1  # when printed
    mean_of: str = ""  # key of the per-class metric whose mean over the classes this metric is

    @property
    def scale(self) -> int:
        """The printed value divided by the stored one."""
        return SCALES[self.unit]

    @property
    def label(self) -> str:
        """The title with its unit, for an axis or a table head."""
        return f"{self.title}, %" if self.unit == "percent" else self.title

    def format(self, value: float | None) -> str:
        """Format a value without its unit; - for NaN and None, which mean undefined."""
        if value is None or math.isnan(value):
            return "-"
        return f"{self.scale * value:.{self.decimals}f}"

    def is_better(self, value: float, reference: float) -> bool:
        """Whether value is strictly better than reference. NaN is never better."""
        return value > reference if self.better == "higher" else value < reference


_SEGMENTATION = (
    Metric(
        "mean_iou", "mean IoU",
        "Mean IoU over the classes with ground truth (VOC's segmentation score): TP / (TP + FP + FN) from one confusion matrix "
        "over all pixels at the images' original sizes, without void pixels (255). Undefined without any labeled pixel.",
        mean_of="iou",
    ),
    Metric(
        "mean_dice", "mean Dice",
        "Mean Dice over the classes with ground truth, from the same confusion matrix. Undefined without any labeled pixel.",
        mean_of="dice",
    ),
    Metric(
        "pixel_accuracy", "pixel accuracy",
        "Fraction of the labeled pixels whose predicted class is correct. Undefined without any labeled pixel.",
    ),
    Metric(
        "competition_dice", "competition Dice",
        "Dice of each image's set of (foreground pixel, class) pairs, void counted as background; mean over the images "
        "(H02A5a competition). 1 for an image where both sets are empty.",
    ),
    Metric(
        "iou", "IoU",
        "TP / (TP + FP + FN) of one class, from one confusion matrix over all pixels at the images' original sizes, without "
        "void pixels (255). Undefined for a class that is neither in the ground truth nor predicted.",
    ),
    Metric(
        "dice", "Dice",
        "2 TP / (2 TP + FP + FN) of one class, from the same confusion matrix. Undefined for the same classes.",
    ),
    Metric(
        "image_iou", "mean IoU of the image",
        "Mean IoU over the classes that one image's ground truth or prediction has; it ranks images and is not VOC's score. "
        "Undefined without any labeled pixel.",
    ),
)  # fmt: skip

_CLASSIFICATION = (
    Metric(
        "map_11_point", "mAP (11-point)",
        "Mean 11-point AP over the classes with positives (VOC2007 to VOC2009). Undefined without any positive.",
        mean_of="ap_11_point",
    ),
    Metric(
        "map_all_points", "mAP (all points)",
        "Mean all-points AP over the classes with positives (VOC2010 and later). Undefined without any positive.",
        mean_of="ap_all_points",
    ),
    Metric(
        "map_sklearn", "mAP (sklearn)",
        "Mean AP as scikit-learn defines it over the classes with positives. Undefined without any positive.",
        mean_of="ap_sklearn",
    ),
    Metric(
        "sample_f1", "F1 per image",
        "2 |P n T| / (|P| + |T|) of each image's predicted labels P and true labels T; mean over the images (H02A5a "
        "competition's Dice of the labels). 1 for an image where both sets are empty.",
    ),
    Metric(
        "micro_precision", "micro precision",
        "TP / (TP + FP), with the counts of all classes added up. Undefined if nothing is predicted.",
    ),
    Metric(
        "micro_recall", "micro recall",
        "TP / (TP + FN), with the counts of all classes added up. Undefined without any positive.",
    ),
    Metric(
        "micro_f1", "micro F1",
        "2 TP / (2 TP + FP + FN), with the counts of all classes added up. Undefined if nothing is true or predicted.",
    ),
    Metric(
        "macro_f1", "macro F1",
        "Mean F1 over the classes with positives. Undefined without any positive.",
        mean_of="f1",
    ),
    Metric(
        "exact_match", "exact match",
        "Fraction of the images whose predicted label set equals the true label set.",
    ),
    Metric(
        "hamming_accuracy", "Hamming accuracy",
        "Fraction of the pairs of image and class that are predicted correctly.",
    ),
    Metric(
        "calibration_error", "calibration error",
        "Expected calibration error over all pairs of image and class, in 15 probability bins of equal width: mean distance "
        "between probability and frequency (Guo et al., arXiv 1706.04599, per label).",
        better="lower",
    ),
    Metric(
        "ap_11_point", "AP 11-point",
        "Mean over the recalls 0, 0.1, ..., 1 of the best precision at this recall or a higher one (VOC2007 to VOC2009). "
        "Undefined for a class without positives.",
    ),
    Metric(
        "ap_all_points", "AP all points",
        "Area under the precision envelope (VOC2010 and later). Undefined for a class without positives.",
    ),
    Metric(
        "ap_sklearn", "AP sklearn",
        "Precision at each score, weighted by the recall gained there, without interpolation (scikit-learn). Undefined for a "
        "class without positives.",
    ),
    Metric(
        "precision", "precision",
        "TP / (TP + FP) of one class. 0 for a class with positives that is never predicted, undefined for one without.",
    ),
    Metric(
        "recall", "recall",
        "TP / (TP + FN) of one class. Undefined for a class without positives.",
    ),
    Metric(
        "f1", "F1",
        "2 TP / (2 TP + FP + FN) of one class. Undefined for a class without positives.",
    ),
)  # fmt: skip

_TRAINING = (
    Metric(
        "train_loss", "training loss",
        "Mean of the loss over the epoch's batches.",
        better="lower", unit="plain", decimals=4,
    ),
    Metric(
        "val_loss", "validation loss",
        "Cross-entropy on the validation images, at the model's input size; of train-adv the objective that it minimizes.",
        better="lower", unit="plain", decimals=4,
    ),
    Metric(
        "drop", "drop of the victims' scores",
        "1 - score under attack / clean score, of the main score of each victim; mean over the victims.",
    ),
)  # fmt: skip

_ROBUSTNESS = (
    Metric(
        "image_accuracy", "accuracy per image",
        "Mean over the images of each image's pixel accuracy.",
    ),
    Metric(
        "prediction_change_rate", "prediction changed",
        "Fraction of the pixels (segmentation) or images (label set) whose prediction under attack differs from the clean "
        "prediction.",
        better="lower",
    ),
    Metric(
        "fooling_rate", "fooling rate",
        "Of the pixels or images whose clean prediction is correct, the fraction whose prediction under attack is wrong. "
        "Undefined if no clean prediction is correct.",
        better="lower",
    ),
    Metric(
        "label_flip_rate", "label flip rate",
        "Fraction of the pairs of image and class whose prediction changes under attack.",
        better="lower",
    ),
    Metric(
        "target_success_rate", "target success",
        "target:CLASS: fraction of the pixels or images predicted as the class. hide:CLASS: of the class's pixels or images "
        "that the clean prediction finds, the fraction that is not predicted under attack.",
        better="lower",
    ),
    Metric(
        "exclusive_success_rate", "target only",
        "target:CLASS: fraction of the images with the class as their only predicted label.",
        better="lower",
    ),
    Metric(
        "linf_max", "linf, 1/255",
        "Largest change of a channel of a pixel, over all images, in steps of 1/255.",
        better="lower", unit="levels", decimals=0,
    ),
    Metric(
        "l2_mean", "L2",
        "L2 norm of an image's perturbation, pixels in [0, 1]; mean over the images.",
        better="lower", unit="plain", decimals=2,
    ),
    Metric(
        "psnr_mean", "PSNR, dB",
        "Peak signal-to-noise ratio of the adversarial image; mean over the changed images, infinite if there are none.",
        unit="plain",
    ),
    Metric(
        "ssim_mean", "SSIM",
        "Structural similarity of the clean and the adversarial image (Wang et al., IEEE TIP 2004); mean over the images.",
        unit="plain", decimals=3,
    ),
)  # fmt: skip

METRICS = {row.key: row for row in (*_SEGMENTATION, *_CLASSIFICATION, *_TRAINING, *_ROBUSTNESS)}


def mean_of_classes(class_metric: str) -> Metric | None:
    """The metric that is the mean of this per-class metric over the classes, if there is one."""
    return next((row for row in METRICS.values() if row.mean_of == class_metric), None)
