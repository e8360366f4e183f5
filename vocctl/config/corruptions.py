"""The common corruptions of ImageNet-C by category, and the settings of `vocctl eval --corruption`.

Source: Hendrycks and Dietterich, arXiv 1903.12261, figure 1: 15 corruptions in four categories, each at five severities.
"""

from dataclasses import dataclass

from vocctl.config.checks import did_you_mean, require
from vocctl.errors import ConfigError

CATEGORIES: dict[str, tuple[str, ...]] = {
    "noise": ("gaussian_noise", "shot_noise", "impulse_noise"),
    "blur": ("defocus_blur", "glass_blur", "motion_blur", "zoom_blur"),
    "weather": ("snow", "frost", "fog", "brightness"),
    "digital": ("contrast", "elastic_transform", "pixelate", "jpeg_compression"),
}
CORRUPTIONS: tuple[str, ...] = tuple(name for names in CATEGORIES.values() for name in names)
ALL = "all"  # in place of the names
SEVERITIES = (1, 2, 3, 4, 5)


@dataclass(frozen=True, kw_only=True)
class CorruptionConfig:
    """Which corruptions to score, on which images. Raises ConfigError: an unknown name, or a severity outside 1 to 5."""

    corruption: tuple[str, ...]  # names of CORRUPTIONS, or ALL
    severity: tuple[int, ...] = (1, 3, 5)
    images: int = 0  # a fixed subset of this size, the same for every run; 0: all
    seed: int = 0  # of the subset and of the corruptions

    def __post_init__(self) -> None:
        require(bool(self.corruption), "name at least one --corruption, or all")
        require(bool(self.severity), "name at least one --severity, from 1 to 5")
        for name in self.corruption:
            require(
                name in (*CORRUPTIONS, ALL),
                f"--corruption takes {ALL} or {', '.join(CORRUPTIONS)}; got {name!r}"
                f"{did_you_mean(name, (*CORRUPTIONS, ALL))}",
            )
        for severity in self.severity:
            require(severity in SEVERITIES, f"--severity takes whole numbers from 1 to 5, as in 1,3,5; got {severity}")
        require(self.images >= 0, f"--images is 0 (all) or more, got {self.images}")

    @property
    def kinds(self) -> tuple[str, ...]:
        """The names without repetitions, in the paper's order."""
        return tuple(name for name in CORRUPTIONS if name in self.corruption or ALL in self.corruption)

    @property
    def severities(self) -> tuple[int, ...]:
        """The severities without repetitions, the weakest first."""
        return tuple(sorted(set(self.severity)))


def parse_severity(text: str) -> int:
    """Parse a severity of --severity. Raises ConfigError: it is not a whole number from 1 to 5."""
    if text not in map(str, SEVERITIES):
        raise ConfigError(f"--severity takes whole numbers from 1 to 5, as in 1,3,5; got {text!r}")
    return int(text)
