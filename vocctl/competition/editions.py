"""The competition's known editions, and the slug that an alias, an edition's year or an address stands for.

Source: the competitions' own pages on Kaggle. The slugs of 2023 and 2024 are not known here; any slug can be named.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from vocctl.errors import ConfigError

ALIAS = "h02a5a"  # the newest edition


@dataclass(frozen=True)
class Edition:
    slug: str
    images: Mapping[str, int]  # of the parts train and test; empty: not known


_IMAGES = {"train": 749, "test": 750}
EDITIONS: Mapping[str, Edition] = {
    "2022": Edition("kul-h02a5a-computer-vision-ga2-2022", _IMAGES),
    "2025": Edition("kul-computer-vision-ga-2-2025", _IMAGES),
    "2026": Edition("kul-computer-vision-ga-2-2026", _IMAGES),
}


def is_competition_name(text: str) -> bool:
    """Whether text can only be a competition: the alias, a slug with hyphens, or an address on Kaggle."""
    return text == ALIAS or "kaggle.com" in text or re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)+", text) is not None


def slug_of(text: str) -> str:
    """The slug of the alias (the newest edition), of a slug or of a competition's address. Raises ConfigError."""
    if text == ALIAS:
        return EDITIONS[max(EDITIONS)].slug
    slug = text
    if "/" in text:
        address = urlsplit(text if "://" in text else f"https://{text}")
        folders = [part for part in address.path.split("/") if part]
        if (address.hostname or "").removeprefix("www.") != "kaggle.com" or not {"c", "competitions"} & set(
            folders[:1]
        ):
            raise ConfigError(f"{text!r} is no competition's address: https://www.kaggle.com/competitions/SLUG is one")
        slug = folders[1] if len(folders) > 1 else ""
    if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", slug):
        raise ConfigError(f"{text!r} names no competition: give {ALIAS}, a slug, or the competition's address")
    return slug


def images_of(slug: str) -> Mapping[str, int]:
    """Images of each part where the edition is known, else nothing."""
    return next((edition.images for edition in EDITIONS.values() if edition.slug == slug), {})
