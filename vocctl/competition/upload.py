"""A submission's csv to Kaggle, and what becomes of it; each step is a line in submissions.jsonl."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from vocctl import __version__
from vocctl.competition import submission_log
from vocctl.competition.editions import slug_of
from vocctl.competition.kaggle import Kaggle, Limits, SubmissionStatus
from vocctl.errors import NetworkError

LONGEST = 480  # characters of a message


@dataclass(frozen=True)
class UploadResult:
    file: Path
    competition: str
    credentials: str  # which kind, never what it holds
    left: int  # submissions after this one until midnight UTC; -1: Kaggle does not say
    outcome: SubmissionStatus


def upload(
    file: Path,
    *,
    competition: str | None = None,
    message: str | None = None,
    wait: float = 600,
    on_note: Callable[[str], None] = lambda text: None,
    on_wait: Callable[[int, int | None], None] | None = None,
) -> UploadResult:
    """Ask for the limits, submit, and wait for the score so many seconds; a wait that ends without one is no error.

    competition: None: the one that the file was written for, the newest edition where nothing is known of it.

    Raises NetworkError: no credentials, no way to Kaggle, none left today, or refused. The file is kept in any case.
    """
    record = submission_log.latest_record(file)
    slug = slug_of(competition) if competition else submission_log.competition_of(record)
    again = f"vocctl submit --file {file}" + (f" --competition {slug}" if competition else "")
    try:
        kaggle = Kaggle(slug)
        on_note(f"Kaggle credentials: {kaggle.credentials}")
        left = _left(kaggle.limits())
        ref = kaggle.upload(file, message if message is not None else message_of(record))
    except NetworkError as error:
        raise NetworkError(f"{error}; {file} is kept, `{again}` uploads it") from None
    record |= {"competition": slug, "ref": ref, "credentials": kaggle.credentials}
    submission_log.append_record(record | {"status": "pending"})
    outcome = kaggle.wait(ref, wait, on_wait)
    submission_log.append_record(record | _known(outcome))
    if outcome.status == "error":
        raise NetworkError(
            f"Kaggle refuses {file}: {outcome.reason or 'it gives no reason'}; the file is kept, "
            f"`vocctl submit --check {file}` looks for faults"
        )
    return UploadResult(file, slug, kaggle.credentials, left - 1 if left > 0 else -1, outcome)


def _left(limits: Limits) -> int:
    """Submissions left. Raises NetworkError: none. All zero says nothing: so it is before a team's first submission."""
    if limits.left <= 0 and (limits.today or limits.total):
        raise NetworkError(f"no submission is left today ({limits.today} made): the next day begins at 00:00 UTC")
    return limits.left


def message_of(record: dict[str, Any]) -> str:
    """What Kaggle shows beside the score: version, runs, expectation, and what is to be noted."""
    words = [f"vocctl {__version__}"]
    for kind in ("cls", "seg"):
        if record.get(kind):
            words.append(f"{kind} {'+'.join(Path(run).name for run in record[kind])}")
    if record.get("expected"):
        low, high = record["expected"]["interval"]
        words.append(f"expected {record['expected']['joint']:.4f} ({low:.4f} to {high:.4f})")
    return "; ".join([*words, *record.get("notes", [])])[:LONGEST]


def _known(outcome: SubmissionStatus) -> dict[str, Any]:
    return {key: value for key, value in asdict(outcome).items() if value}


def refresh(wait: float, on_wait: Callable[[int, int | None], None] | None = None) -> None:
    """Ask Kaggle for the scores that were still due. Raises NetworkError as upload does."""
    for record in submission_log.history():
        if record.get("status") == "pending" and record.get("ref"):
            outcome = Kaggle(record["competition"]).wait(int(record["ref"]), wait, on_wait)
            submission_log.append_record(record | _known(outcome))
