"""Upload a csv to Kaggle and wait for its score. Each step appends a line to the submission log."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from vocctl import __version__
from vocctl.competition import submission_log
from vocctl.competition.editions import resolve_slug
from vocctl.competition.kaggle import Kaggle, OnWait, SubmissionLimits, SubmissionStatus
from vocctl.errors import NetworkError

MAX_MESSAGE = 480  # characters


@dataclass(frozen=True)
class UploadResult:
    file: Path
    competition: str
    credentials: str  # which kind was used, without the secret
    remaining_today: int | None  # submissions until midnight UTC, after this one; None: Kaggle does not say
    status: SubmissionStatus


def upload(
    file: Path,
    *,
    competition: str | None = None,
    message: str | None = None,
    wait: float = 600,
    on_note: Callable[[str], None] = lambda text: None,
    on_wait: OnWait | None = None,
) -> UploadResult:
    """Check the day's limit, upload the file, and wait up to `wait` seconds for its score.

    competition: None: the one that the file was written for, by the log; the newest edition if the log does not know it.
    message: shown on Kaggle; None: generated. A missing score after the wait is not an error.
    Raises NetworkError: no credentials, no connection, no submission left today, or refused. The file is kept.
    """
    record = submission_log.latest_record(file)
    slug = resolve_slug(competition) if competition else submission_log.slug_of_record(record)
    command = f"vocctl submit --file {file}" + (f" --competition {slug}" if competition else "")
    try:
        kaggle = Kaggle(slug)
        on_note(f"Kaggle credentials: {kaggle.credentials}")
        remaining = _remaining_today(kaggle.limits())
        ref = kaggle.upload(file, message if message is not None else default_message(record))
    except NetworkError as error:
        raise NetworkError(f"{error}; {file} is kept, `{command}` uploads it") from None  # a cause may hold secrets
    record |= {"competition": slug, "ref": ref, "credentials": kaggle.credentials}
    submission_log.append_record(record | {"status": "pending"})
    status = kaggle.wait_for_score(ref, wait, on_wait)
    submission_log.append_record(record | _status_entries(status))
    if status.status == "error":
        raise NetworkError(
            f"Kaggle refused {file}: {status.reason or 'it gives no reason'}; the file is kept, "
            f"`vocctl submit --check {file}` lists its errors"
        )
    return UploadResult(file, slug, kaggle.credentials, remaining, status)


def _remaining_today(limits: SubmissionLimits | None) -> int | None:
    """Submissions left after the next one; None: unknown. Raises NetworkError: there is none left today.

    Kaggle answers 0 for all limits before a team's first submission, which says nothing.
    """
    if limits is None:
        return None
    if limits.remaining_today > 0:
        return limits.remaining_today - 1
    if limits.today or limits.total:
        raise NetworkError(f"no submission is left today ({limits.today} made): the limit resets at 00:00 UTC")
    return None


def default_message(record: Mapping[str, Any]) -> str:
    """Version, runs, expected score and warnings. record: as submission_log.latest_record returns it."""
    parts = [f"vocctl {__version__}"]
    for flag in ("cls", "seg"):
        if record.get(flag):
            parts.append(f"{flag} {'+'.join(Path(run).name for run in record[flag])}")
    if record.get("expected"):
        low, high = record["expected"]["interval"]
        parts.append(f"expected {record['expected']['joint']:.4f} ({low:.4f} to {high:.4f})")
    return "; ".join([*parts, *record.get("warnings", [])])[:MAX_MESSAGE]


def _status_entries(status: SubmissionStatus) -> dict[str, Any]:
    return {key: value for key, value in asdict(status).items() if value}


def refresh(wait: float, on_wait: OnWait | None = None) -> None:
    """Ask Kaggle for the scores of pending submissions and log them. Raises NetworkError as upload does."""
    for record in submission_log.history():
        if record.get("status") == "pending" and record.get("ref"):
            status = Kaggle(record["competition"]).wait_for_score(int(record["ref"]), wait, on_wait)
            submission_log.append_record(record | _status_entries(status))
