"""What a study's numbers support, in plain words. The rules are stated in docs/study.md, and are these functions."""

from vocctl.study.results import ArmResult, StudyResult

LEVEL_OF_P = 0.05


def summary(result: StudyResult) -> str:
    """A paragraph about one study: what was found, with what certainty, and what it does not show."""
    if result.study.search is not None:
        return _search_summary(result)
    base, *arms = result.arms
    if not base.trials:
        return "No run of the base has finished yet."
    unit = "points of " + result.metric.title if result.metric.unit == "percent" else result.metric.title
    seeds = len(base.trials)
    sentences = [f"{base.name}: {_mean(base, result)} {result.metric.title} over {_count(seeds, 'seed')}."]
    sentences += [_sentence(arm, base, result, unit) for arm in arms]
    if seeds == 1:
        sentences.append("One seed cannot show how much training varies: the intervals account for the images alone.")
    if result.missing:
        sentences.append(f"{_count(result.missing, 'run')} of {result.study.num_runs} have not finished.")
    return " ".join(sentences)


def _sentence(arm: ArmResult, base: ArmResult, result: StudyResult, unit: str) -> str:
    found = arm.difference
    if found is None:
        return f"{arm.name} has no finished run."
    scale = result.metric.scale
    value, low, high = (scale * number for number in (found.value, found.low, found.high))
    figures = f"{value:+.1f} {unit}, 95 % interval {low:+.1f} to {high:+.1f}, p = {format_p(arm.p_adjusted)}"
    better = result.metric.is_better(found.value, 0.0)
    if found.is_distinguishable and arm.p_adjusted < LEVEL_OF_P:
        return f"{arm.name} is {'better' if better else 'worse'} than {base.name} ({figures})."
    if found.is_distinguishable:
        return (
            f"{arm.name} looks {'better' if better else 'worse'} than {base.name}, but not after correction for the number of "
            f"comparisons ({figures})."
        )
    return f"{arm.name} is not distinguishable from {base.name} ({figures})."


def _search_summary(result: StudyResult) -> str:
    finished = sorted(
        result.trials, key=lambda trial: -trial.score if result.metric.better == "higher" else trial.score
    )
    if not finished:
        return "No trial has finished yet."
    best, metric = finished[0], result.metric
    chosen = ", ".join(f"{key} = {value}" for key, value in best.settings.items())
    sentences = [
        f"The best of {_count(len(finished), 'finished trial')} is {best.name} with {metric.format(best.score)} {metric.title} "
        f"({chosen})."
    ]
    default = next((trial for trial in result.trials if trial.name == "trial-0"), None)
    if default is not None and default is not best:
        sentences.append(f"The base's own settings, trial-0, reach {metric.format(default.score)}.")
    if result.pruned:
        sentences.append(f"{_count(result.pruned, 'trial')} stopped early.")
    sentences.append("The best of many trials is optimistic: compare it with the base by [[arms]] and new seeds.")
    return " ".join(sentences)


def format_p(p: float) -> str:
    return "< .001" if p < 0.001 else f"{p:.3f}".lstrip("0") if p < 1 else "1"


def _mean(arm: ArmResult, result: StudyResult) -> str:
    deviation = "" if len(arm.trials) < 2 else f" ± {result.metric.format(arm.deviation)}"
    return f"{result.metric.format(arm.mean)}{deviation}"


def _count(number: int, word: str) -> str:
    return f"{number} {word}" if number == 1 else f"{number} {word}s"
