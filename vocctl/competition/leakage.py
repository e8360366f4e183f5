"""What submit objects to: a run trained or validated on the competition's test images, or started from VOC weights.

Validation counts, because it selects the checkpoint, stops training early and fits the thresholds. A run that started from
the weights of another run inherits that run's images. Runs with test images are refused unless --allow-test-images is
given; weights trained on VOC, which the course does not allow, only cause a warning.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from vocctl.competition.ensemble import run_config
from vocctl.competition.test_set import OnImage, TestSet, find_test_images
from vocctl.errors import ConfigError, DataError
from vocctl.runs.folder import RunFolder

VOC_NAMES = re.compile(r"(?<![a-z])(voc|pascal|sbd)(?![a-z])", re.IGNORECASE)
ALLOW = "--allow-test-images"


@dataclass
class LeakageCheck:
    """Checks runs against one test set; remembers the result for each run."""

    test_set: TestSet
    allow: bool  # warn instead of raising
    on_image: OnImage | None = None
    _leaked: dict[Path, list[str]] = field(default_factory=dict)  # run -> its images that are test images

    def check(self, runs: Sequence[RunFolder]) -> list[str]:
        """Return a warning for each run with test images, if they are allowed.

        Otherwise raises ConfigError for a run with test images, and DataError if that cannot be determined.
        """
        warnings = []
        for run in runs:
            try:
                leaked = self.leaked_images(run)
            except DataError as error:
                problem = f"cannot determine whether {run.path} was trained or validated on test images"
                if not self.allow:
                    raise DataError(f"{problem}: {error}; {ALLOW} submits it anyway") from error
                warnings.append(problem)
                continue
            if leaked:
                problem = f"{run.path} was trained or validated on {len(leaked)} of the competition's test images"
                if not self.allow:
                    raise ConfigError(
                        f"{problem} ({leaked[0]}): train on the competition's folder, or with --val 0.2; {ALLOW} submits it "
                        "anyway"
                    )
                warnings.append(problem)
        return warnings

    def leaked_images(self, run: RunFolder) -> list[str]:
        """Ids of the run's training and validation images that are test images, including those of its initial weights' run.

        Raises DataError: the run's data set is not found, so this cannot be determined.
        """
        key = run.path.resolve()
        if key not in self._leaked:
            self._leaked[key] = []  # ends the recursion if a run names itself as its initial weights
            ids = list(dict.fromkeys([*run.split_ids("train"), *run.split_ids("val")]))
            leaked = find_test_images(self.test_set, _data_path(run), ids, self.on_image)
            if (initial_run := pretrained_from(run)) is not None:
                leaked += self.leaked_images(initial_run)
            self._leaked[key] = leaked
        return self._leaked[key]


def voc_weight_warnings(runs: Sequence[RunFolder]) -> list[str]:
    """A warning for each run whose initial weights are named after VOC, or come from a run on another data set."""
    reasons = [(run, voc_weights(run)) for run in runs]
    return [
        f"{run.path} started from weights that may be trained on VOC ({reason}), which the course does not allow"
        for run, reason in reasons
        if reason is not None
    ]


def voc_weights(run: RunFolder) -> str | None:
    """Why the run's initial weights may be trained on VOC: their name, or a run on another data set. None: no sign of it."""
    model = run_config(run).model
    if model.weights not in ("auto", "none") and VOC_NAMES.search(Path(model.weights).name):
        return Path(model.weights).name
    if model.weights == "auto" and VOC_NAMES.search(model.backbone):
        return model.backbone
    initial_run = pretrained_from(run)
    if initial_run is None:
        return None
    if _data_path(initial_run).resolve() != _data_path(run).resolve():
        return f"those of {initial_run.path}, trained on {_data_path(initial_run)}"
    return voc_weights(initial_run) if initial_run.path.resolve() != run.path.resolve() else None


def pretrained_from(run: RunFolder) -> RunFolder | None:
    """The run that the initial weights come from, if their file is in a run folder."""
    folder = Path(run_config(run).model.weights).parent
    return RunFolder(folder) if (folder / "run.json").is_file() and (folder / "split.json").is_file() else None


def _data_path(run: RunFolder) -> Path:
    return Path(run_config(run).data.path)
