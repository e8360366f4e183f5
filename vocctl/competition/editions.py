"""The known editions of the competition, and the Kaggle slug of each.

Source: the competitions' pages on Kaggle. The slugs of 2023 and 2024 are not known; a user can give any slug.
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
    num_images: Mapping[str, int]  # of the train and test parts


_NUM_IMAGES = {"train": 749, "test": 750}
EDITIONS: Mapping[str, Edition] = {
    "2022": Edition("kul-h02a5a-computer-vision-ga2-2022", _NUM_IMAGES),
    "2025": Edition("kul-computer-vision-ga-2-2025", _NUM_IMAGES),
    "2026": Edition("kul-computer-vision-ga-2-2026", _NUM_IMAGES),
}


def is_competition_name(text: str) -> bool:
    """Whether text can only mean a competition: the alias, a slug with hyphens, or a Kaggle URL."""
    return text == ALIAS or "kaggle.com" in text or re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)+", text) is not None


def resolve_slug(text: str) -> str:
    """Return the slug of a competition given as the alias (the newest edition), a slug or a URL. Raises ConfigError."""
    if text == ALIAS:
        return EDITIONS[max(EDITIONS)].slug
    slug = _slug_in_url(text) if "/" in text else text
    if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", slug):
        raise ConfigError(f"{text!r} is not a competition: give {ALIAS}, a slug, or the competition's URL")
    return slug


def _slug_in_url(url: str) -> str:
    parts = urlsplit(url if "://" in url else f"https://{url}")
    folders = [folder for folder in parts.path.split("/") if folder]
    on_kaggle = (parts.hostname or "").removeprefix("www.") == "kaggle.com"
    if not on_kaggle or folders[:1] not in (["c"], ["competitions"]):
        raise ConfigError(f"{url!r} is not the URL of a competition: expected https://www.kaggle.com/competitions/SLUG")
    return folders[1] if len(folders) > 1 else ""


def known_num_images(slug: str) -> Mapping[str, int]:
    """Number of images in the train and test parts of a known edition; empty for any other competition."""
    return next((edition.num_images for edition in EDITIONS.values() if edition.slug == slug), {})
