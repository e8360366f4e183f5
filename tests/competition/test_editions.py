"""Which slug a name stands for."""

import pytest

from vocctl.competition.editions import is_competition_name, slug_of
from vocctl.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "slug"),
    [
        ("h02a5a", "kul-computer-vision-ga-2-2026"),
        ("kul-computer-vision-ga-2-2025", "kul-computer-vision-ga-2-2025"),
        ("https://www.kaggle.com/competitions/kul-computer-vision-ga-2-2025/rules", "kul-computer-vision-ga-2-2025"),
        ("kaggle.com/c/some-other-one/", "some-other-one"),
    ],
)
def test_names(text, slug):
    assert slug_of(text) == slug
    assert is_competition_name(text)


@pytest.mark.parametrize(
    "text", ["https://www.kaggle.com/datasets/a/b", "https://example.org/competitions/a-b",
             "https://www.kaggle.com/competitions/", "A B", "../x", "https://www.kaggle.com/competitions/../x"]
)  # fmt: skip
def test_what_names_none(text):
    with pytest.raises(ConfigError):
        slug_of(text)


@pytest.mark.parametrize("text", ["voc2009", "shapes", "voc2O09"])
def test_a_data_set_is_no_competition(text):
    assert not is_competition_name(text)
