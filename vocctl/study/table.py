"""The table of a study's results, as text cells, CSV, Markdown and LaTeX."""

import csv
import io
import math
from collections.abc import Sequence

from vocctl.study.results import ArmResult, StudyResult
from vocctl.study.words import format_p

Rows = list[list[str]]
ANSWER_COLUMNS = 7  # of a comparison: from the arm to the verdict


def table(result: StudyResult) -> Rows:
    """Head and rows: an arm a row, the base first; of a search a trial a row, the best first."""
    return _arms_table(result) if result.study.search is None else _trials_table(result)


def _arms_table(result: StudyResult) -> Rows:
    metric, keys = result.metric, result.attack_keys
    head = ["arm", "seeds", metric.label, "difference", "95 % interval", "p (Holm)", ""]
    rows = [[*head, *keys, "minutes", "images/s", "M parameters"]]
    for arm in result.arms:
        attacks = [metric.format(arm.attack_mean(key)) for key in keys]
        cost = [
            _number(arm.cost("seconds") / 60),
            _number(arm.cost("images_per_second"), 0),
            _number(arm.cost("parameters") / 1e6),
        ]
        mean = metric.format(arm.mean)
        if not math.isnan(arm.deviation):
            mean += f" ± {metric.format(arm.deviation)}"
        rows.append(
            [arm.name, str(len(arm.trials)), mean, *_difference(arm, metric.scale, metric.decimals), *attacks, *cost]
        )
    return rows


def _difference(arm: ArmResult, scale: int, decimals: int) -> list[str]:
    """Difference, interval, p value and verdict."""
    found = arm.difference
    if found is None:
        return ["", "", "", ""]
    low, high = (f"{scale * bound:+.{decimals}f}" for bound in (found.low, found.high))
    verdict = "" if found.is_distinguishable else "not distinguishable"
    return [f"{scale * found.value:+.{decimals}f}", f"{low} to {high}", format_p(arm.p_adjusted), verdict]


def _trials_table(result: StudyResult) -> Rows:
    keys = list(dict.fromkeys(key for trial in result.trials for key in trial.settings))
    rows = [["trial", result.metric.label, *keys, "minutes"]]
    higher = result.metric.better == "higher"
    for trial in sorted(result.trials, key=lambda trial: trial.score, reverse=higher):
        chosen = [_setting(trial.settings.get(key)) for key in keys]
        rows.append([trial.name, result.metric.format(trial.score), *chosen, _number(trial.seconds / 60)])
    return rows


def answer_and_cost(rows: Rows) -> tuple[Rows, Rows]:
    """Two tables that fit on a terminal: what was found; and attacks and cost, after each row's name."""
    if rows[0][0] != "arm":
        return rows, []
    return [row[:ANSWER_COLUMNS] for row in rows], [[row[0], *row[ANSWER_COLUMNS:]] for row in rows]


def _setting(value: object) -> str:
    return f"{value:.3g}" if isinstance(value, float) else "" if value is None else str(value)


def _number(value: float, decimals: int = 1) -> str:
    return "-" if math.isnan(value) else f"{value:.{decimals}f}"


def as_csv(rows: Rows) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()


def as_markdown(rows: Rows) -> str:
    lines = [_markdown_line(rows[0]), "|" + "---|" * len(rows[0]), *map(_markdown_line, rows[1:])]
    return "\n".join(lines) + "\n"


def _markdown_line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def as_latex(rows: Rows) -> str:
    """A tabular for LaTeX's booktabs."""
    head, *body = [" & ".join(map(_latex, row)) + r" \\" for row in rows]
    begin = rf"\begin{{tabular}}{{l{'r' * (len(rows[0]) - 1)}}}"
    return "\n".join([begin, r"\toprule", head, r"\midrule", *body, r"\bottomrule", r"\end{tabular}", ""])


LATEX = {
    "\\": r"\textbackslash{}",
    "±": r"$\pm$",
    "<": "$<$",
    ">": "$>$",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    **{letter: "\\" + letter for letter in "&%$#_{}"},
}


def _latex(cell: str) -> str:
    return "".join(LATEX.get(letter, letter) for letter in cell)
