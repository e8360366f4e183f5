"""Which Kaggle slug a user's text stands for."""

import pytest

from vocctl.competition.editions import is_competition_name, known_num_images, resolve_slug
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
def test_alias_slug_and_url(text, slug):
    assert resolve_slug(text) == slug
    assert is_competition_name(text)


@pytest.mark.parametrize(
    "text", ["https://www.kaggle.com/datasets/a/b", "https://example.org/competitions/a-b",
             "https://www.kaggle.com/competitions/", "A B", "../x", "https://www.kaggle.com/competitions/../x"]
)  # fmt: skip
def test_other_texts_are_refused(text):
    with pytest.raises(ConfigError):
        resolve_slug(text)


@pytest.mark.parametrize("text", ["voc2009", "shapes", "voc2O09"])
def test_a_data_set_is_not_a_competition(text):
    assert not is_competition_name(text)


def test_number_of_images_of_known_and_unknown_editions():
    assert known_num_images("kul-computer-vision-ga-2-2025") == {"train": 749, "test": 750}
    assert known_num_images("some-other-one") == {}
