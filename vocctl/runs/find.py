"""Find runs by folder or by name, and name new ones."""

import difflib
from collections.abc import Callable, Sequence
from pathlib import Path

from vocctl.errors import ConfigError, DataError
from vocctl.runs.folder import RunFolder

RUNS = Path("runs")


def new_run_dir(out: Path | None, name: str | None, kind: str, default_name: str) -> Path:
    """Return the folder of a new run: out, or runs/<kind>/<name>, or a free name like default_name there.

    Raises ConfigError: a name that is not a single path component.
    """
    if out is not None:
        return out
    if name is None:
        return free_name(RUNS / kind, default_name)
    if Path(name).name != name or name in (".", "..") or "\0" in name:
        raise ConfigError(f"--name {name} is not a folder name: use one without slashes, or --out for a path")
    return RUNS / kind / name


def free_name(
    folder: Path, name: str, suffix: str = "", *, is_same: Callable[[Path], bool] = lambda existing: False
) -> Path:
    """Return folder/<name><suffix>, or <name>-2<suffix>, <name>-3<suffix>, ... if that exists.

    is_same: whether an existing one may be replaced, because it is an earlier result of the same inputs.
    """
    path, number = folder / f"{name}{suffix}", 1
    while path.exists() and not is_same(path):
        number += 1
        path = folder / f"{name}-{number}{suffix}"
    return path


def distinct_names(paths: Sequence[Path]) -> list[str]:
    """Return for each folder the shortest end of its path that no other one has; its name, if names differ."""
    folders = [path.resolve().parts for path in paths]
    return [_shortest_unique_end(parts, set(folders) - {parts}) for parts in folders]


def _shortest_unique_end(parts: tuple[str, ...], others: set[tuple[str, ...]]) -> str:
    for length in range(1, len(parts)):
        if all(other[-length:] != parts[-length:] for other in others):
            return "/".join(parts[-length:])
    return str(Path(*parts))


def open_run(name: str, runs: Path = RUNS) -> RunFolder:
    """Open a run by its folder, or by its name below runs/*/. Raises DataError: not found, or the name is ambiguous."""
    path = Path(name)
    if path.is_file():
        raise DataError(f"{name} is a file: name the folder of a run, as {path.parent}")
    if not path.is_dir():
        by_name = _runs_by_name(runs)
        if name not in by_name:
            close = difflib.get_close_matches(name, list(by_name), n=1, cutoff=0.3)
            count = "1 run" if len(by_name) == 1 else f"{len(by_name)} runs"
            hint = f"did you mean {close[0]}?" if close else f"{runs}/ holds {count}"
            if not by_name:
                hint += ": train one with `vocctl train-seg` or `vocctl train-cls`, or give the folder of a run"
            raise DataError(f"no run {name}: {hint}")
        if len(by_name[name]) > 1:
            raise DataError(f"{name} is ambiguous ({', '.join(map(str, by_name[name]))}): give the run's folder")
        path = by_name[name][0]
    if not (path / "run.json").is_file():
        raise DataError(f"{path} is not a run: a run folder holds config.toml and run.json; see {runs}/")
    return RunFolder(path)


def _runs_by_name(runs: Path) -> dict[str, list[Path]]:
    """The run folders below runs/*/, by name."""
    by_name: dict[str, list[Path]] = {}
    for folder in sorted(runs.glob("*/*")):
        if (folder / "run.json").is_file():
            by_name.setdefault(folder.name, []).append(folder)
    return by_name


def find_run(name: str, task: str, runs: Path = RUNS) -> RunFolder:
    """Open a run of this task; a name is searched below runs/<kind>/ first.

    Raises DataError: not found, or another task's.
    """
    own = runs / task.removeprefix("train-") / name
    is_own = not Path(name).is_dir() and (own / "run.json").is_file()
    run = open_run(str(own) if is_own else name, runs)
    if run.task != task:
        raise DataError(f"{run.path} is a run of {run.task}, not of {task}: choose another")
    return run
