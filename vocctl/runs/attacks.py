"""The files of RUN/attacks/: what `vocctl eval --attack` writes, and what plot and report read.

RUN/attacks/<name>/
    attack.json                             settings, a row for each attack and budget, sanity checks, and the examples
    table.csv                               the same rows
    clean/, adversarial/                    example images of the strongest attack, <id>.png
    labels-clean/, labels-adversarial/      a segmenter's predictions for them, <id>.png of class indices
    *.png                                   figures, which the task draws
RUN/attacks/transfer-<name>/
    transfer.json                           the settings, and a matrix for each attack and budget
"""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, get_args

import numpy as np
from PIL import Image

from vocctl.config import AttackConfig, Norm, parse_epsilon
from vocctl.data.images import read_image, read_mask, write_mask
from vocctl.errors import ConfigError, DataError, RunError
from vocctl.files import read_json, to_json, write_csv, write_json
from vocctl.runs.find import free_name

ATTACK_FILE, TRANSFER_FILE = "attack.json", "transfer.json"
IDENTITY = ("members", "data_path", "checkpoint", "config")  # keys that are equal if two evaluations are the same
UNBOUNDED = "unbounded"  # in place of a budget, for a generator that was trained with a penalty
NAN = float("nan")


@dataclass(frozen=True)
class AttackRow:
    """One attack at one budget. Scores and rates are fractions in [0, 1], nan where undefined.

    rates: as robustness/outcomes.py defines them. distortion: linf, l2, PSNR in dB and SSIM, as metrics/distortion.py
    defines them. Both are empty where they do not apply.
    """

    attack: str  # or "clean", or "worst case"
    eps: str
    scores: dict[str, float]
    rates: dict[str, float]
    distortion: dict[str, float]


@dataclass(frozen=True)
class AttackExample:
    """One image before and after an attack, with the model's outputs: label maps (H, W), or probabilities by class name."""

    image_id: str
    clean: np.ndarray  # (H, W, 3) uint8
    adversarial: np.ndarray  # (H, W, 3) uint8
    clean_output: np.ndarray | dict[str, float]
    adversarial_output: np.ndarray | dict[str, float]
    caption: str  # size of the perturbation


@dataclass(frozen=True)
class AttackExamples:
    """Examples of one attack at one budget."""

    attack: str
    eps: str
    examples: tuple[AttackExample, ...]


@dataclass(frozen=True)
class AttackRecord:
    """One folder of RUN/attacks/, read back. Its methods raise DataError for a corrupt file."""

    folder: Path
    settings: dict[str, Any]  # attack.json without rows and examples
    rows: tuple[AttackRow, ...]  # the clean images first
    examples: dict[str, Any]  # attack, eps, and a list of images with id, caption and a classifier's outputs

    @property
    def name(self) -> str:
        return self.folder.name

    @property
    def metric(self) -> str:
        """The main metric of the run's task: a key of every row's scores."""
        return str(self.settings["metric"])

    @property
    def clean_score(self) -> float:
        return self.rows[0].scores[self.metric]

    @property
    def protocol(self) -> str:
        """Equal for two evaluations whose scores may be compared.

        It covers the images, budgets, goal, checkpoint and number of runs, not the attacks.
        """
        config = {key: value for key, value in self.settings.get("config", {}).items() if key != "attack"}
        keys = ("data_path", "split", "images", "checkpoint")
        num_runs = len(self.settings.get("members", ()))
        return json.dumps([config, {key: self.settings.get(key) for key in keys}, num_runs], sort_keys=True)

    def curves(self) -> dict[str, tuple[list[float], list[float]]]:
        """Return, for each attack, its budgets and the score of the main metric at each.

        Budgets are in levels of 1/255 (linf) or in the norm of pixels in [0, 1] (l2); nan for UNBOUNDED.
        """
        curves: dict[str, tuple[list[float], list[float]]] = {}
        scale = 255 if self.settings["norm"] == "linf" else 1
        for row in self.rows[1:]:
            budgets, scores = curves.setdefault(row.attack, ([], []))
            budgets.append(NAN if row.eps == UNBOUNDED else parse_epsilon(row.eps) * scale)
            scores.append(row.scores[self.metric])
        return curves

    def load_examples(self) -> AttackExamples:
        with _readable(self.folder):
            examples = tuple(self._load_example(about) for about in self.examples["images"])
            return AttackExamples(self.examples["attack"], self.examples["eps"], examples)

    def _load_example(self, about: dict[str, Any]) -> AttackExample:
        image_id = about["id"]
        clean, adversarial = (read_image(self.folder / kind / f"{image_id}.png") for kind in ("clean", "adversarial"))
        outputs = [self._output(kind, about) for kind in ("clean", "adversarial")]
        return AttackExample(image_id, clean, adversarial, outputs[0], outputs[1], about["caption"])

    def _output(self, kind: str, about: dict[str, Any]) -> np.ndarray | dict[str, float]:
        probs: dict[str, float] | None = about[f"{kind}_output"]
        return read_mask(self.folder / f"labels-{kind}" / f"{about['id']}.png") if probs is None else probs

    def adversarial_paths(self) -> list[Path]:
        """The adversarial example images, sorted by id."""
        return sorted((self.folder / "adversarial").glob("*.png"))

    def adversarial_labels(self, image_id: str) -> np.ndarray | None:
        """(H, W) uint8: a segmenter's prediction for an adversarial example; None for a classifier."""
        path = self.folder / "labels-adversarial" / f"{image_id}.png"
        return read_mask(path) if path.is_file() else None


@dataclass(frozen=True)
class TransferMatrix:
    """Scores of one attack at one budget: scores[source run][tested run].

    The source run is the one that the attack used to make the images.

    An attack that never runs the victim (noise, a trained generator) has one row, under its own name. clean: by run.
    """

    metric: str
    images: int
    attack: str
    eps: str
    runs: tuple[str, ...]
    clean: dict[str, float]
    scores: dict[str, dict[str, float]]


@dataclass(frozen=True)
class TransferRecord:
    folder: Path
    matrices: tuple[TransferMatrix, ...]


def write_attack(folder: Path, settings: dict[str, Any], rows: Sequence[AttackRow], examples: AttackExamples) -> None:
    """Fill a folder, in the main process. settings: for attack.json; with the keys IDENTITY, task, norm, metric, images.

    Raises RunError: the folder is not writable.
    """
    images = [_write_example(folder, example) for example in examples.examples]
    about = {"attack": examples.attack, "eps": examples.eps, "images": images}
    write_json(folder / ATTACK_FILE, settings | {"rows": [asdict(row) for row in rows], "examples": about}, indent=1)
    scores = sorted({key for row in rows for key in row.scores}, reverse=True)
    rates = list(dict.fromkeys(key for row in rows for key in row.rates))
    distortion = list(dict.fromkeys(key for row in rows for key in row.distortion))
    columns = (*scores, *rates, *distortion)
    table: list[list[Any]] = [["attack", "eps", *columns]]
    for row in rows:
        values = row.scores | row.rates | row.distortion
        table.append([row.attack, row.eps, *(values.get(key, "") for key in columns)])
    write_csv(folder / "table.csv", table)


def _write_example(folder: Path, example: AttackExample) -> dict[str, Any]:
    """Write the images of an example. Returns its entry in attack.json."""
    about: dict[str, Any] = {"id": example.image_id, "caption": example.caption}
    parts = (
        ("clean", example.clean, example.clean_output),
        ("adversarial", example.adversarial, example.adversarial_output),
    )
    try:
        for kind, image, output in parts:
            (folder / kind).mkdir(exist_ok=True)
            Image.fromarray(image).save(folder / kind / f"{example.image_id}.png")
            about[f"{kind}_output"] = None if isinstance(output, np.ndarray) else output
            if isinstance(output, np.ndarray):
                (folder / f"labels-{kind}").mkdir(exist_ok=True)
                write_mask(folder / f"labels-{kind}" / f"{example.image_id}.png", output)
    except OSError as error:
        raise RunError(f"{folder} cannot be written: {error.strerror}; free space and attack again") from error
    return about


def write_transfer(folder: Path, settings: dict[str, Any], matrices: Sequence[dict[str, Any]]) -> None:
    """Write transfer.json, in the main process. matrices: each a TransferMatrix as a dictionary, with any further keys.

    Raises RunError: the folder is not writable.
    """
    write_json(folder / TRANSFER_FILE, {"matrices": matrices} | settings, indent=1)


def attack_records(run: Path) -> list[AttackRecord]:
    """Read all attack evaluations of a run folder. Raises DataError: a corrupt file."""
    return [read_attack(path.parent) for path in sorted((run / "attacks").glob(f"*/{ATTACK_FILE}"))]


def read_attack(folder: Path) -> AttackRecord:
    """Read one folder of RUN/attacks/. Raises DataError: missing or corrupt."""
    with _readable(folder):
        settings = read_json(folder / ATTACK_FILE)
        rows, examples = settings.pop("rows"), settings.pop("examples")
        record = AttackRecord(folder, settings, tuple(_row(row) for row in rows), examples)
        _check_values(record)
        return record


def _check_values(record: AttackRecord) -> None:
    """Raise one of the errors that _readable turns into a DataError if a value that plot and report need is missing."""
    if record.settings["norm"] not in get_args(Norm):
        raise ValueError(f"unknown norm {record.settings['norm']}")
    if not isinstance(record.settings["images"], int) or not isinstance(record.examples["images"], list):
        raise TypeError("unexpected type")
    _ = record.curves(), record.protocol, record.clean_score, record.examples["attack"]


def _row(row: dict[str, Any]) -> AttackRow:
    """JSON has no nan: an undefined value is null there."""
    tables = (
        {key: NAN if value is None else float(value) for key, value in row[name].items()}
        for name in ("scores", "rates", "distortion")
    )
    return AttackRow(row["attack"], row["eps"], *tables)


def transfer_records(run: Path) -> list[TransferRecord]:
    """Read all transfer evaluations of a run folder. Raises DataError: a corrupt file."""
    records = []
    for path in sorted((run / "attacks").glob(f"*/{TRANSFER_FILE}")):
        with _readable(path.parent):
            records.append(TransferRecord(path.parent, tuple(map(_matrix, read_json(path)["matrices"]))))
    return records


def _matrix(matrix: dict[str, Any]) -> TransferMatrix:
    def scores(row: dict[str, Any]) -> dict[str, float]:
        return {run: NAN if row[run] is None else float(row[run]) for run in matrix["runs"]}

    return TransferMatrix(
        matrix["metric"], int(matrix["images"]), matrix["attack"], matrix["eps"], tuple(matrix["runs"]),
        scores(matrix["clean"]), {name: scores(row) for name, row in matrix["scores"].items()},
    )  # fmt: skip


def evaluation_name(data: str, split: str, config: AttackConfig) -> str:
    """The name of an evaluation's folder: data set, split, norm, the goal unless untargeted, the number of images
    unless all.
    """
    goal = "" if config.goal == "untargeted" else "-" + config.goal.replace(":", "-")
    subset = f"-{config.images}" if config.images else ""
    return f"{data}-{split}-{config.norm}{goal}{subset}"


def evaluation_folder(run: Path, name: str, file: str, settings: dict[str, Any]) -> Path:
    """RUN/attacks/<name>, or <name>-2, <name>-3, ... where that contains another evaluation.

    The same evaluation again replaces its folder; a folder whose file is missing or corrupt is replaced by any evaluation.
    file: ATTACK_FILE or TRANSFER_FILE. settings: of the new evaluation, with the keys IDENTITY.
    """
    identity = json.loads(json.dumps(to_json({key: settings[key] for key in IDENTITY})))

    def is_same(folder: Path) -> bool:
        try:
            existing = read_json(folder / file)
        except (OSError, ValueError):
            return True
        return identity == {key: existing.get(key) for key in IDENTITY}

    return free_name(run / "attacks", name, is_same=is_same)


def file_name(attack: str) -> str:
    """An attack's name in file names: pgd-20; adv-<folder of the run> for adv:RUN."""
    kind, _, run = attack.partition(":")
    text = f"{kind}-{Path(run).resolve().name}" if run else kind
    return "".join(letter if letter.isalnum() or letter in "-." else "-" for letter in text)


@contextmanager
def _readable(folder: Path) -> Iterator[None]:
    """Turn errors of reading a folder into a DataError that says how to make it again."""
    try:
        yield
    except (OSError, LookupError, ValueError, TypeError, AttributeError, ConfigError) as error:
        run = folder.parent.parent
        raise DataError(f"{folder} is corrupt: attack again, with `vocctl eval {run} --attack ...`") from error
