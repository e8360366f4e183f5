"""Whether a run to be submitted has seen the competition's test images, and whether its weights come from VOC.

Seen is: trained on, or validated on, since validation picks the checkpoint, stops early and fits the thresholds. A run that
began with the weights of another run has seen what that one saw. The course rules out weights that were trained on VOC.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from vocctl.competition.test_set import OnImage, TestSet, overlap
from vocctl.config import TrainClsConfig, TrainSegConfig
from vocctl.errors import ConfigError, DataError
from vocctl.runs.folder import RunFolder

VOC_NAMES = re.compile(r"(?<![a-z])(voc|pascal|sbd)(?![a-z])", re.IGNORECASE)
ALLOW = "--allow-test-images"


@dataclass
class LeakageCheck:
    """Looks at runs one after another; what it found on the way is in notes."""

    test_set: TestSet
    allow: bool  # report, don't refuse
    on_image: OnImage | None = None
    notes: list[str] = field(default_factory=list)
    seen: dict[Path, list[str]] = field(default_factory=dict)  # run -> its images that are test images

    def test_images_of(self, run: RunFolder) -> list[str]:
        """Ids of the run's training and validation images that show a test image, those of its first weights' run too.

        Raises DataError: its data set is no longer there, so that nobody can tell.
        """
        key = run.path.resolve()
        if key not in self.seen:
            self.seen[key] = []  # a run that names itself as its weights
            ids = list(dict.fromkeys([*run.split_ids("train"), *run.split_ids("val")]))
            found = overlap(self.test_set, _data_of(run), ids, self.on_image)
            if (first := pretrained_from(run)) is not None:
                found += self.test_images_of(first)
            self.seen[key] = found
        return self.seen[key]

    def refuse(self, runs: Sequence[RunFolder]) -> None:
        """Raises ConfigError where a run has seen test images, DataError where nobody can tell; unless allowed."""
        for run in runs:
            try:
                found = self.test_images_of(run)
            except DataError as error:
                if not self.allow:
                    raise DataError(
                        f"whether {run.path} saw test images can't be told: {error}; or say {ALLOW}"
                    ) from error
                self.notes.append(f"{run.path}: whether it saw test images can't be told")
                continue
            if not found:
                continue
            what = f"{run.path} trained or was validated on {len(found)} of the competition's test images"
            if not self.allow:
                raise ConfigError(
                    f"{what} ({found[0]}): train on the competition's folder, or with --val 0.2; {ALLOW} submits it anyway"
                )
            self.notes.append(what)

    def flag_voc_weights(self, runs: Sequence[RunFolder]) -> None:
        """A note for each run whose first weights are known to come from VOC. The course does not take those."""
        for run in runs:
            if (reason := voc_weights(run)) is not None:
                self.notes.append(
                    f"{run.path} began with weights that were trained on VOC ({reason}): the course rules out"
                )


def config_of(run: RunFolder) -> TrainClsConfig | TrainSegConfig:
    if run.task == "train-cls":
        return run.config(TrainClsConfig())
    return run.config(TrainSegConfig())


def pretrained_from(run: RunFolder) -> RunFolder | None:
    """The run whose weights this one began with, where they lie in a run's folder."""
    folder = Path(config_of(run).model.weights).parent
    return RunFolder(folder) if (folder / "run.json").is_file() and (folder / "split.json").is_file() else None


def voc_weights(run: RunFolder) -> str | None:
    """Why the run's first weights are known to be VOC's; None: nothing says so."""
    config = config_of(run)
    model = config.model.model if isinstance(config, TrainClsConfig) else config.model.encoder
    weights = config.model.weights
    if weights not in ("auto", "none") and VOC_NAMES.search(Path(weights).name):
        return Path(weights).name
    if weights == "auto" and VOC_NAMES.search(model):
        return model
    first = pretrained_from(run)
    if first is None:
        return None
    if _data_of(first).resolve() != _data_of(run).resolve():
        return f"those of {first.path}, trained on {_data_of(first)}"
    return voc_weights(first) if first.path.resolve() != run.path.resolve() else None


def _data_of(run: RunFolder) -> Path:
    return Path(config_of(run).data.path)
