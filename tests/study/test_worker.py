import csv
import signal
import time
from pathlib import Path

import pytest

from processes import StartedProcess, run_vocctl, start
from vocctl.cli.app import main
from vocctl.config.study import parse_study
from vocctl.errors import ConfigError, DataError, Interrupted
from vocctl.study.folder import create_or_open, find_study
from vocctl.study.results import results_of
from vocctl.study.table import table
from vocctl.study.trials import COMPLETE, current_trials, default_parameters, open_storage, optuna_study
from vocctl.study.worker import work
from vocctl.training.reporter import SilentReporter

SMALL = 'encoder = "scratch"\nwidths = [16, 16, 16]\nsize = 32\nbatch = 2\nprecision = "fp32"\ndecoder = "unet"'
ARMS = f"""
command = "train-seg"
seeds = [0, 1]
[base]
name = "skip"
epochs = 2
{SMALL}
[[arms]]
name = "no skip"
skip = false
"""
SEARCH = f"""
command = "train-seg"
seeds = [0]
[base]
epochs = 1
{SMALL}
[search]
trials = 3
lr = {{low = 1e-4, high = 1e-2, log = true}}
loss = ["ce", "dice"]
"""


class Recorder(SilentReporter):
    """Records the trials that start; stops like Ctrl-C after some epochs."""

    def __init__(self, epochs: int = 1000) -> None:
        self.started: list[str] = []
        self.epochs = epochs

    def trial(self, study: str, name: str, finished: int, total: int) -> None:
        self.started.append(name)

    def epoch(self, record: dict) -> None:
        self.epochs -= 1
        if self.epochs == 0:
            raise Interrupted("stopped by the test")


def run_all(folder, epochs=1000):
    recorder = Recorder(epochs)
    return recorder, lambda: work(folder, open_storage(folder.default_storage), recorder)


def without_timings(rows):
    return [row[: rows[0].index("minutes")] for row in rows]


def test_every_trial_runs_once(tiny_set: Path, tmp_path: Path) -> None:
    folder = create_or_open(tmp_path / "s", "s", ARMS, {"path": str(tiny_set)})
    recorder, start_work = run_all(folder)
    result = start_work()
    assert recorder.started == ["skip-s0", "no-skip-s0", "skip-s1", "no-skip-s1"]
    assert (result.finished, result.failed) == (4, {})
    again, start_work = run_all(find_study(str(tmp_path / "s")))
    assert start_work().finished == 0
    assert again.started == []
    (found,) = results_of(folder, open_storage(folder.default_storage))
    assert [len(arm.trials) for arm in found.arms] == [2, 2]
    assert found.missing == 0
    difference = found.arms[1].difference
    assert difference is not None
    assert difference.value == pytest.approx(found.arms[1].mean - found.arms[0].mean)
    assert difference.low <= difference.value <= difference.high


def test_interrupted_trial_is_resumed(tiny_set: Path, tmp_path: Path) -> None:
    alone = create_or_open(tmp_path / "alone", "s", ARMS, {"path": str(tiny_set)})
    run_all(alone)[1]()
    stopped = create_or_open(tmp_path / "stopped", "s", ARMS, {"path": str(tiny_set)})
    recorder, start_work = run_all(stopped, epochs=3)  # in the first epoch of the second trial
    with pytest.raises(Interrupted):
        start_work()
    assert recorder.started == ["skip-s0", "no-skip-s0"]
    recorder, start_work = run_all(stopped)
    start_work()
    assert sorted(recorder.started) == ["no-skip-s0", "no-skip-s1", "skip-s1"]
    tables = [table(results_of(folder, open_storage(folder.default_storage))[0]) for folder in (alone, stopped)]
    assert without_timings(tables[0]) == without_timings(tables[1])


def test_failed_trial_is_reported_and_run_again(tiny_set: Path, tmp_path: Path) -> None:
    broken = ARMS.replace("skip = false", "lr = 1e30\nclip_norm = 0.0")
    folder = create_or_open(tmp_path / "s", "s", broken, {"path": str(tiny_set)})
    result = run_all(folder)[1]()
    assert result.finished == 2
    assert set(result.failed) == {"s/no-skip-s0", "s/no-skip-s1"}
    assert all("loss" in reason for reason in result.failed.values())
    recorder, start_work = run_all(folder)
    start_work()
    assert sorted(recorder.started) == ["no-skip-s0", "no-skip-s1"]


def test_search_starts_with_the_default(tiny_set: Path, tmp_path: Path) -> None:
    folder = create_or_open(tmp_path / "s", "s", SEARCH, {"path": str(tiny_set)})
    run_all(folder)[1]()
    (result,) = results_of(folder, open_storage(folder.default_storage))
    assert len(result.trials) + result.pruned == 3
    first = next(trial for trial in result.trials if trial.name == "trial-0")
    (study,) = folder.file.studies
    assert default_parameters(study) == {}  # ce+dice is not among the choices
    assert 1e-4 <= first.settings["lr"] <= 1e-2
    assert first.settings["loss"] in ("ce", "dice")


def test_default_parameters_are_the_bases() -> None:
    text = SEARCH.replace('loss = ["ce", "dice"]', 'loss = ["ce", "ce+dice"]')
    (study,) = parse_study(text, "s").studies
    assert default_parameters(study) == {"lr": 1e-3, "loss": "ce+dice"}


def test_only_additions_continue_a_study(tmp_path: Path) -> None:
    create_or_open(tmp_path / "s", "s", ARMS, {})
    more = ARMS + '[[arms]]\nname = "dice"\nloss = "dice"\n'
    assert len(create_or_open(tmp_path / "s", "s", more, {"seeds": [0, 1, 2]}).file.studies[0].all_arms) == 3
    for changed, reason in (
        (more.replace("skip = false", "skip = true"), "'no skip' has changed"),
        (more.replace("epochs = 2", "epochs = 3"), "base has changed"),
        (ARMS, "'dice' has changed"),
    ):
        with pytest.raises(ConfigError, match=reason):
            create_or_open(tmp_path / "s", "s", changed, {"seeds": [0, 1, 2]})
    with pytest.raises(ConfigError, match="a seed is gone"):
        create_or_open(tmp_path / "s", "s", more, {"seeds": [0, 1]})


def test_deleted_run_is_an_error(tiny_set: Path, tmp_path: Path) -> None:
    folder = create_or_open(tmp_path / "s", "s", ARMS, {"path": str(tiny_set)})
    run_all(folder)[1]()
    (tmp_path / "s" / "runs" / "s" / "skip-s0").rename(tmp_path / "gone")
    with pytest.raises(DataError, match="is gone"):
        run_all(folder)[1]()


def test_not_a_study(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="is not a study"):
        find_study(str(tmp_path))


@pytest.mark.parametrize(
    "url", ["nonsense", "postgresql://user:secret@127.0.0.1:1/none", "sqlite:////no/such/folder/x.db"]
)
def test_storage_errors_are_one_line_without_the_password(url: str) -> None:
    from vocctl.errors import VocctlError

    with pytest.raises(VocctlError) as caught:
        open_storage(url)
    assert "\n" not in str(caught.value)
    assert "secret" not in str(caught.value)


def wait_for(condition, process: StartedProcess, seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not condition() and process.is_running():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_killed_worker_loses_no_trial(tiny_set: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """SIGKILL during the first and during the third trial: the table is that of the study that was left alone."""
    file = tmp_path / "study.toml"
    file.write_text(ARMS.replace("epochs = 2", "epochs = 6\nsave_every = 0.0001"))
    arguments = ["study", "run", str(file), "--data", str(tiny_set), "--quiet"]
    assert main([*arguments, "--out", str(tmp_path / "alone")]) == 0
    killed = tmp_path / "killed"
    for trial in ("skip-s0", "skip-s1"):
        process = start(run_vocctl, *arguments, "--out", str(killed), folder=tmp_path / f"output-{trial}")
        metrics = killed / "runs" / "study" / trial / "metrics.jsonl"
        wait_for(lambda metrics=metrics: metrics.is_file() and metrics.stat().st_size > 0, process)
        assert process.is_running()
        process.send(signal.SIGKILL)
        process.wait(30)
    assert main([*arguments, "--out", str(killed)]) == 0
    tables = [list(csv.reader((tmp_path / name / "report/study.csv").open())) for name in ("alone", "killed")]
    assert without_timings(tables[0]) == without_timings(tables[1])
    folder = find_study(str(killed))
    (study,) = folder.file.studies
    trials = current_trials(optuna_study(folder, study, open_storage(folder.default_storage)))
    assert {trial.state for trial in trials.values()} == {COMPLETE}
    assert len(trials) == 4
