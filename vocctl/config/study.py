"""A study: which runs are compared, with which seeds, and what is measured of each. Read from a TOML file.

A file holds one study, or several as [studies.NAME], which may use each other's runs: in `target` of train-adv, "@NAME:ARM"
is the run of that study's arm with the same seed. A study's settings have the names of the config's fields, which are the
flags with underscores, without sections.

    command = "train-seg"
    seeds = [0, 1, 2]
    [base]
    minutes = 3
    [[arms]]
    name = "no skip connections"
    skip = false

Instead of [[arms]] it has [grid], every combination of lists of values, or [search], ranges and lists from which Optuna
chooses. Nothing here imports torch or Optuna.
"""

import itertools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal, get_args

import tomli

from vocctl.config.attacks import AttackConfig, TrainAdvConfig
from vocctl.config.checks import Norm, check_choice, check_choices, did_you_mean, require
from vocctl.config.classification import TrainClsConfig
from vocctl.config.evaluation import TTA, Checkpoint
from vocctl.config.loading import from_tables
from vocctl.config.segmentation import TrainSegConfig
from vocctl.errors import ConfigError, DataError
from vocctl.files import read_text

Command = Literal["train-seg", "train-cls", "train-adv"]
TrainingConfig = TrainSegConfig | TrainClsConfig | TrainAdvConfig
DEFAULTS: dict[str, TrainingConfig] = {
    "train-seg": TrainSegConfig(),
    "train-cls": TrainClsConfig(),
    "train-adv": TrainAdvConfig(),
}
METRICS = {  # by command, the default first
    "train-seg": ("mean_iou", "mean_dice", "pixel_accuracy", "competition_dice"),
    "train-cls": ("map_sklearn", "map_11_point", "map_all_points", "sample_f1", "macro_f1"),
    "train-adv": ("drop",),
}
NOT_SETTINGS = ("seed",)  # settings that the study sets itself
MAX_RUNS_UNCONFIRMED = 200
REFERENCE = re.compile(r"@([^:@]+):(.+)")  # the run of another study's arm


@dataclass(frozen=True)
class Arm:
    """One way of training: what it changes of the base."""

    name: str
    settings: dict[str, Any]


@dataclass(frozen=True)
class Range:
    """Numbers that a search may choose: integers if both bounds are."""

    low: float
    high: float
    log: bool = False

    def __post_init__(self) -> None:
        require(self.low < self.high, f"a range needs low < high, got {self.low} and {self.high}")
        require(not self.log or self.low > 0, f"a range with log = true needs low > 0, got {self.low}")


@dataclass(frozen=True, kw_only=True)
class Search:
    """A search of hyper-parameters: ranges and lists of values, by setting."""

    trials: int
    space: dict[str, Range | tuple[Any, ...]]
    prune: bool = True  # stop a run whose validation score is below the median of the others at the same epoch


@dataclass(frozen=True, kw_only=True)
class Measure:
    """What is measured of each finished run. Raises ConfigError as EvalOptions and AttackConfig."""

    split: str = ""  # "": the images that the run validated on
    checkpoint: Checkpoint = "final"  # best was chosen on the scored images
    tta: TTA = "none"
    resamples: int = 1000  # bootstrap resamples of the images
    attack: tuple[str, ...] = ()
    eps: tuple[str, ...] = ("2/255",)
    norm: Norm = "linf"
    images: int = 0  # of attacks: a fixed subset; 0: all

    def __post_init__(self) -> None:
        check_choices(self)
        require(self.resamples >= 100, f"resamples is 100 or more, got {self.resamples}")
        if self.attack:
            self.attack_config()

    def attack_config(self) -> AttackConfig:
        return AttackConfig(attack=self.attack, eps=self.eps, norm=self.norm, images=self.images)


@dataclass(frozen=True, kw_only=True)
class Study:
    """One comparison or search. Raises ConfigError: an unknown setting or value, or arms that cannot be told apart."""

    name: str
    command: Command
    base: Arm
    question: str = ""
    arms: tuple[Arm, ...] = ()
    search: Search | None = None
    seeds: tuple[int, ...] = (0, 1, 2)
    metric: str = ""  # "": the command's main metric
    measure: Measure = field(default_factory=Measure)

    def __post_init__(self) -> None:
        check_choice("command", self.command, get_args(Command))
        where = f"study {self.name}"
        require(
            bool(self.arms) or self.search is not None, f"{where} compares nothing: add [[arms]], [grid] or [search]"
        )
        require(bool(self.seeds), f"{where}: seeds is a list of at least one number")
        require(len(set(self.seeds)) == len(self.seeds), f"{where}: a seed stands twice in {list(self.seeds)}")
        require(min(self.seeds) >= 0, f"{where}: a seed is 0 or more")
        choices = METRICS[self.command]
        if self.metric:
            hint = did_you_mean(self.metric, choices)
            require(
                self.metric in choices,
                f"{where}: {self.command} has no metric {self.metric!r}{hint}; it has {', '.join(choices)}",
            )
        names = [arm.name for arm in self.all_arms]
        for name in names:
            require(names.count(name) == 1, f"{where} has two arms named {name!r}: rename one")
        for arm in self.all_arms:
            self.config(arm, self.seeds[0])
        if self.search is not None:
            for key, space in self.search.space.items():
                for value in (space.low, space.high) if isinstance(space, Range) else space:
                    self.config(Arm("search", {key: value}), self.seeds[0])
        changes = [arm.settings for arm in self.all_arms]
        for index, arm in enumerate(self.all_arms):
            if arm.settings in changes[:index]:
                other = self.all_arms[changes.index(arm.settings)]
                raise ConfigError(f"{where}: arms {other.name!r} and {arm.name!r} have equal settings")

    @property
    def all_arms(self) -> tuple[Arm, ...]:
        """The base, which differs from itself in nothing, and the arms."""
        return (Arm(self.base.name, {}), *self.arms)

    @property
    def main_metric(self) -> str:
        return self.metric or METRICS[self.command][0]

    @property
    def num_runs(self) -> int:
        return self.search.trials if self.search is not None else len(self.all_arms) * len(self.seeds)

    @property
    def uses(self) -> set[str]:
        """Names of the studies whose runs this one uses."""
        found = [REFERENCE.fullmatch(target) for arm in (self.base, *self.arms) for target in _targets(arm.settings)]
        return {match[1] for match in found if match}

    def arm(self, name: str) -> Arm:
        """The arm of this name. Raises KeyError: there is none."""
        return {arm.name: arm for arm in self.all_arms}[name]

    def config(self, arm: Arm, seed: int) -> TrainingConfig:
        """The settings of a run. Raises ConfigError: an unknown setting, a wrong type, or an invalid value."""
        default = DEFAULTS[self.command]
        values = self.base.settings | arm.settings | {"seed": seed}
        return from_tables(default, _tables(default, values, f"study {self.name}"), f"study {self.name}, {arm.name}")


@dataclass(frozen=True)
class StudyFile:
    """The studies of one file, each after those whose runs it uses."""

    title: str
    studies: tuple[Study, ...]

    def __getitem__(self, name: str) -> Study:
        return next(study for study in self.studies if study.name == name)

    @property
    def num_runs(self) -> int:
        return sum(study.num_runs for study in self.studies)


def built_in_names() -> tuple[str, ...]:
    folder = files("vocctl.config").joinpath("studies")
    return tuple(sorted(path.name.removesuffix(".toml") for path in folder.iterdir() if path.name.endswith(".toml")))


def study_text(name_or_path: str) -> tuple[str, str]:
    """(name, TOML text) of a built-in study or a file. Raises DataError: neither exists. ConfigError: not UTF-8."""
    if name_or_path in built_in_names():
        path = files("vocctl.config").joinpath("studies", f"{name_or_path}.toml")
        return name_or_path, path.read_text(encoding="utf-8")
    path = Path(name_or_path)
    if not path.is_file():
        hint = (
            did_you_mean(name_or_path, built_in_names())
            or f": it is neither a file nor one of {', '.join(built_in_names())}"
        )
        raise DataError(f"there is no study {name_or_path}{hint}")
    try:
        return path.stem, read_text(path)
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read as UTF-8 text: {error}") from error


def parse_study(text: str, name: str, overrides: Mapping[str, Any] | None = None) -> StudyFile:
    """Read a study file. overrides: seeds, and settings that replace those of every base.

    Raises ConfigError: not TOML, an unknown key, or as Study.
    """
    try:
        tables = tomli.loads(text)
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"study {name} is not TOML: {' '.join(str(error).split())}") from error
    title = tables.pop("title", name)
    require(isinstance(title, str), f"study {name}: title is a text")
    parts = tables.pop("studies", None)
    if parts is None:
        parts = {name: tables}
    elif tables:
        raise ConfigError(f"study {name}: unknown key {next(iter(tables))!r} beside [studies]")
    require(isinstance(parts, dict) and bool(parts), f"study {name}: [studies.NAME] holds a study each")
    studies = [_study(part, values, dict(overrides or {})) for part, values in parts.items()]
    return StudyFile(title, _in_order_of_use(studies))


def _study(name: str, tables: Any, overrides: dict[str, Any]) -> Study:
    where = f"study {name}"
    require(isinstance(tables, dict), f"{where} is a table")
    require(bool(re.fullmatch(r"[\w.-]+", name)), f"{where}: a name has letters, digits, dots, - and _")
    known = {item.name for item in fields(Study)} - {"name"} | {"grid"}
    if unknown := [key for key in tables if key not in known]:
        raise ConfigError(f"{where}: unknown key {unknown[0]!r}{did_you_mean(unknown[0], known)}")
    require("base" in tables, f"{where} has no [base]: name the settings that all runs share, or leave the table empty")
    require("command" in tables, f"{where} has no command: it is one of {', '.join(get_args(Command))}")
    kinds = [key for key in ("arms", "grid", "search") if key in tables]
    require(len(kinds) <= 1, f"{where} has {' and '.join(kinds)}: choose one")
    check_choice("command", tables["command"], get_args(Command))
    base = _table(tables["base"], f"{where} [base]")
    seeds = overrides.pop("seeds", tables.get("seeds", [0, 1, 2]))
    require(
        isinstance(seeds, list | tuple) and all(type(seed) is int for seed in seeds),
        f"{where}: seeds is a list of integers",
    )
    base_name = base.pop("name", "base")
    require(isinstance(base_name, str), f"{where} [base]: name is a text")
    own = {key: value for key, value in overrides.items() if key in _sections(DEFAULTS[tables["command"]])}
    base_arm, arms = Arm(base_name, base | own), _arms(tables.get("arms", []), where)
    if "grid" in tables:
        first, *others = _grid(tables["grid"], base, where)
        base_arm, arms = Arm(first.name, base | own | first.settings), tuple(others)
    measure = from_tables(Measure(), _table(tables.get("measure", {}), where), f"{where} [measure]")
    texts = {key: tables.get(key, "") for key in ("question", "metric")}
    require(all(isinstance(text, str) for text in texts.values()), f"{where}: question and metric are texts")
    return Study(
        name=name, command=tables["command"], base=base_arm, arms=arms,
        search=_search(tables["search"], where) if "search" in tables else None,
        seeds=tuple(seeds), measure=measure, **texts,
    )  # fmt: skip


def _arms(arms: Any, where: str) -> tuple[Arm, ...]:
    require(isinstance(arms, list), f"{where}: arms are written as [[arms]]")
    found = []
    for arm in arms:
        settings = _table(arm, f"{where} [[arms]]")
        name = settings.pop("name", None)
        require(isinstance(name, str) and bool(name), f"{where}: an arm has no name")
        require(bool(settings), f"{where}: arm {name!r} changes nothing of the base")
        found.append(Arm(name, settings))
    return tuple(found)


def _grid(grid: Any, base: Mapping[str, Any], where: str) -> list[Arm]:
    """Every combination; the first one is compared with the others."""
    grid = _table(grid, f"{where} [grid]")
    for key, values in grid.items():
        require(isinstance(values, list) and bool(values), f"{where} [grid]: {key} is a list of values")
        require(key not in base, f"{where}: {key} stands in [base] and in [grid], remove one")
    require(bool(grid), f"{where} [grid] is empty")
    combinations = [dict(zip(grid, values, strict=True)) for values in itertools.product(*grid.values())]
    require(len(combinations) > 1, f"{where} [grid] has one combination: nothing is compared")
    return [
        Arm(", ".join(f"{key} {_shown(value)}" for key, value in settings.items()), settings)
        for settings in combinations
    ]


def _search(search: Any, where: str) -> Search:
    search = _table(search, f"{where} [search]")
    trials, prune = search.pop("trials", 20), search.pop("prune", True)
    require(type(trials) is int and trials >= 1, f"{where} [search]: trials is an integer of 1 or more")
    require(isinstance(prune, bool), f"{where} [search]: prune is true or false")
    require(bool(search), f"{where} [search] names no setting")
    return Search(trials=trials, prune=prune, space={key: _space(key, value, where) for key, value in search.items()})


def _space(key: str, value: Any, where: str) -> Range | tuple[Any, ...]:
    if isinstance(value, list) and value:
        return tuple(value)
    fits = isinstance(value, dict) and {"low", "high"} <= value.keys() <= {"low", "high", "log"}
    numbers = fits and all(type(value[bound]) in (int, float) for bound in ("low", "high"))
    require(numbers, f"{where} [search]: {key} is a list of values or {{low = ..., high = ..., log = true}}")
    return Range(value["low"], value["high"], bool(value.get("log", False)))


def _in_order_of_use(studies: Sequence[Study]) -> tuple[Study, ...]:
    """Raises ConfigError: a study or an arm that does not exist, or studies that use each other in a circle."""
    by_name = {study.name: study for study in studies}
    for study in studies:
        for target in (target for arm in (study.base, *study.arms) for target in _targets(arm.settings)):
            _check_reference(target, study, by_name)
    ordered: list[Study] = []
    while len(ordered) < len(studies):
        done = {study.name for study in ordered}
        ready = [study for study in studies if study.name not in done and study.uses <= done]
        require(bool(ready), f"studies {', '.join(sorted(by_name.keys() - done))} use each other's runs in a circle")
        ordered.append(ready[0])
    return tuple(ordered)


def _check_reference(target: str, study: Study, by_name: Mapping[str, Study]) -> None:
    if not target.startswith("@"):
        return
    match = REFERENCE.fullmatch(target)
    require(match is not None, f"study {study.name}: target {target!r} is written as @STUDY:ARM")
    assert match is not None
    other = by_name.get(match[1])
    if other is None:
        raise ConfigError(
            f"study {study.name}: target {target}: no study {match[1]!r}{did_you_mean(match[1], by_name)}"
        )
    names = [arm.name for arm in other.all_arms]
    require(
        match[2] in names, f"study {study.name}: target {target}: no arm {match[2]!r}{did_you_mean(match[2], names)}"
    )
    missing = [seed for seed in study.seeds if seed not in other.seeds]
    require(not missing, f"study {study.name}: target {target}: {other.name} has no run with seed {missing}")


def _targets(settings: Mapping[str, Any]) -> list[str]:
    targets = settings.get("target", [])
    return [target for target in targets if isinstance(target, str)] if isinstance(targets, list | tuple) else []


def _table(value: Any, where: str) -> dict[str, Any]:
    require(isinstance(value, dict), f"{where} is a table")
    return dict(value)


def _sections(config: TrainingConfig) -> dict[str, str]:
    """The section of each setting."""
    return {item.name: section.name for section in fields(config) for item in fields(getattr(config, section.name))}


def _tables(default: TrainingConfig, settings: Mapping[str, Any], where: str) -> dict[str, dict[str, Any]]:
    """Settings by section, as a run's config file has them. Raises ConfigError: an unknown setting."""
    sections = _sections(default)
    tables: dict[str, dict[str, Any]] = {}
    for key, value in settings.items():
        if key not in sections:
            raise ConfigError(f"{where}: unknown setting {key!r}{did_you_mean(key, sections)}")
        tables.setdefault(sections[key], {})[key] = value
    return tables


def _shown(value: Any) -> str:
    return (
        "/".join(map(str, value))
        if isinstance(value, list)
        else str(value).lower()
        if isinstance(value, bool)
        else str(value)
    )
