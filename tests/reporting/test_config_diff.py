"""Settings that differ between runs, as text."""

from pathlib import Path

from vocctl.config import TrainAdvConfig, TrainSegConfig, as_tables, given
from vocctl.reporting.config_diff import diff_from_default, differing_settings, format_settings, group_by_config
from vocctl.runs.folder import RunFolder
from vocctl.runs.kinds import SEG
from vocctl.runs.records import RunRecord


def settings(config: object = TrainSegConfig(), **flags: object) -> dict:
    tables = as_tables(given(config, **flags))
    return {name: value for table in tables.values() for name, value in table.items()}


def run_record(**flags: object) -> RunRecord:
    return RunRecord(RunFolder(Path("run")), SEG, settings(**flags), None, "run")


def test_format_settings() -> None:
    pair = [settings(loss="dice", skip=False, minutes=3.0, lr=0.005), settings()]
    names = differing_settings(pair)
    assert format_settings(pair[0], names) == "no skip, loss dice, lr 0.005, minutes 3"
    assert format_settings(pair[1], names) == "skip, loss ce+dice, lr 0.001, minutes 0"


def test_settings_that_do_not_change_the_weights_are_ignored() -> None:
    assert differing_settings([settings(seed=1, workers=2, cache_dir="x", device="cpu"), settings()]) == []


def test_data_set_is_compared_by_name() -> None:
    assert differing_settings([settings(path="a/voc"), settings(path="b/voc")]) == []
    assert format_settings(settings(path="a/voc"), ["path"]) == "data voc"


def test_format_lists() -> None:
    assert format_settings(settings(TrainAdvConfig(), target=("one", "two")), ["target"]) == "target one/two"
    assert format_settings({"class_weights": [1.0, 0.25], "widths": []}, ["class_weights", "widths"]) == (
        "class weights 1/0.25, widths none"
    )


def test_group_by_config_ignores_the_seed() -> None:
    runs = [run_record(seed=0), run_record(seed=0, loss="ce"), run_record(seed=1)]
    groups = group_by_config(runs)
    assert [(group.label, len(group.runs)) for group in groups] == [("loss ce+dice", 2), ("loss ce", 1)]
    assert groups[0].runs == (runs[0], runs[2])
    assert [group.label for group in group_by_config(runs[::2])] == [""]


def test_diff_from_default() -> None:
    assert diff_from_default(run_record(path="elsewhere", seed=3)) == ""
    assert diff_from_default(run_record(loss="dice", widths=(8, 8))) == "widths 8/8, loss dice"
