import pytest

from vocctl.config import TrainClsConfig, TrainSegConfig
from vocctl.config.study import Range, built_in_names, parse_study, study_text
from vocctl.errors import ConfigError, DataError

ARMS = """
command = "train-seg"
[base]
name = "skip"
decoder = "unet"
[[arms]]
name = "no skip"
skip = false
"""


def parse(text, **overrides):
    return parse_study(text, "test", overrides)


def only(text, **overrides):
    (study,) = parse(text, **overrides).studies
    return study


def test_arms():
    study = only(ARMS)
    assert [arm.name for arm in study.all_arms] == ["skip", "no skip"]
    assert study.seeds == (0, 1, 2)
    assert study.num_runs == 6
    assert study.main_metric == "mean_iou"
    config = study.config(study.arms[0], seed=2)
    assert isinstance(config, TrainSegConfig)
    assert (config.model.decoder, config.model.skip, config.train.seed) == ("unet", False, 2)


def test_grid_is_every_combination():
    study = only('command = "train-cls"\n[base]\n[grid]\nlr = [1e-3, 1e-4]\naugment = ["none", "light"]')
    configs = [study.config(arm, 0) for arm in study.all_arms]
    assert all(isinstance(config, TrainClsConfig) for config in configs)
    found = [(config.optim.lr, config.data.augment) for config in configs]
    assert found == [(1e-3, "none"), (1e-3, "light"), (1e-4, "none"), (1e-4, "light")]
    assert study.base.name == "lr 0.001, augment none"


def test_search():
    study = only(
        'command = "train-seg"\nseeds = [3]\n[base]\n[search]\ntrials = 12\nlr = {low = 1e-4, high = 1e-2, log = true}\n'
        'augment = ["none", "light"]'
    )
    assert study.search is not None
    assert study.search.space == {"lr": Range(1e-4, 1e-2, log=True), "augment": ("none", "light")}
    assert study.num_runs == 12


def test_overrides_replace_the_base_and_the_seeds():
    study = only(ARMS, seeds=[7], minutes=2, path="elsewhere")
    config = study.config(study.base, 7)
    assert study.seeds == (7,)
    assert (config.train.minutes, config.data.path) == (2.0, "elsewhere")


def test_studies_of_a_file_are_ordered_by_use():
    text = """
    [studies.attack]
    command = "train-adv"
    base = {target = ["@victims:base"]}
    grid = {eps = ["4/255", "8/255"]}
    [studies.victims]
    command = "train-seg"
    base = {}
    arms = [{name = "dice", loss = "dice"}]
    """
    file = parse(text)
    assert [study.name for study in file.studies] == ["victims", "attack"]
    assert file["attack"].uses == {"victims"}


@pytest.mark.parametrize("name", built_in_names())
def test_built_in_studies_are_valid(name):
    own_name, text = study_text(name)
    file = parse_study(text, own_name)
    assert file.title
    for study in file.studies:
        for arm in study.all_arms:
            study.config(arm, 0)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('command = "train-seg"\n[[arms]]\nname = "a"\nskip = false', r"no \[base\]"),
        ("[base]\n[[arms]]\nname = 'a'\nskip = false", "no command"),
        ('command = "train"\n[base]\n[[arms]]\nname = "a"\nskip = false', "train-seg"),
        ('command = "train-seg"\n[base]', "compares nothing"),
        (ARMS + '[[arms]]\nname = "no skip"\nskip = true', "two arms named 'no skip'"),
        (ARMS + '[[arms]]\nname = "other"\nskip = false', "equal settings"),
        (ARMS + '[[arms]]\nname = "other"', "changes nothing"),
        (ARMS + "[[arms]]\nskip = true", "has no name"),
        (ARMS.replace("skip = false", "skp = false"), "unknown setting 'skp', did you mean skip"),
        (ARMS.replace("skip = false", "skip = 3"), "must be a bool"),
        (ARMS.replace("skip = false", "lr = -1.0"), "--lr"),
        ('seeds = "all"' + ARMS, "list of integers"),
        ("seeds = [1, 1]" + ARMS, "stands twice"),
        ("seeds = []" + ARMS, "at least one"),
        ('metric = "map_sklearn"' + ARMS, "train-seg has no metric 'map_sklearn'"),
        ("colour = 1" + ARMS, "unknown key 'colour'"),
        (ARMS + "[grid]\nlr = [1e-3, 1e-4]", "choose one"),
        ('command = "train-seg"\n[base]\nlr = 1e-3\n[grid]\nlr = [1e-3, 1e-4]', "stands in"),
        ('command = "train-seg"\n[base]\n[grid]\nlr = [1e-3]', "one combination"),
        ('command = "train-seg"\n[base]\n[search]\nlr = {low = 1.0, high = 0.1}', "low < high"),
        ('command = "train-seg"\n[base]\n[search]\nlr = {low = 0, high = 0.1, log = true}', "low > 0"),
        ('command = "train-seg"\n[base]\n[search]\naugment = ["none", "lite"]', "lite"),
        ('command = "train-seg"\n[base]\n[search]\ntrials = 3', "names no setting"),
        (ARMS + '[measure]\nattack = ["pgd"]\neps = ["0"]', "--eps"),
        (ARMS + "[measure]\nresamples = 3", "100 or more"),
        ("= 3", "not TOML"),
        (
            '[studies.a]\ncommand = "train-adv"\nbase = {target = ["@b:c"]}\ngrid = {eps = ["1/255", "2/255"]}',
            "no study 'b'",
        ),
    ],
)
def test_invalid_studies_are_one_line(text, message):
    with pytest.raises(ConfigError, match=message) as caught:
        parse(text)
    assert "\n" not in str(caught.value)


def test_studies_that_use_each_other():
    text = """
    [studies.a]
    command = "train-adv"
    base = {target = ["@b:base"]}
    arms = [{name = "other", eps = "4/255"}]
    [studies.b]
    command = "train-adv"
    base = {target = ["@a:base"]}
    arms = [{name = "other", eps = "4/255"}]
    """
    with pytest.raises(ConfigError, match="circle"):
        parse(text)


def test_no_such_study():
    with pytest.raises(DataError, match="did you mean skips"):
        study_text("skipps")
