"""What a storage says about the jobs of a search, and which one is next."""

import dataclasses
import itertools
import math
import random

from keras_basisprune.search.jobs.job import Job

_FEW = 100_000  # combinations that are listed
SURPLUS, REFUSED = "surplus", "refused"  # attributes of trials that count for nothing
FOLDER = "folder"  # that of trials whose job has begun


@dataclasses.dataclass
class Progress:
    """The trials of a study, by combination.

    Attributes:
        ended: Keys of combinations that need not be begun again.
        active: Number of trials that run or wait, and whose combination has not ended.
        taken: Keys of combinations with any trial.
        waiting: Whether a trial waits to be begun.
        again: Labels of combinations that failed, and have attempts left.
    """

    ended: set[str]
    active: int
    taken: set[str]
    waiting: bool
    again: list[dict]


def labels_of(trial) -> dict:
    """Returns the labels of a trial, also before it is begun."""
    return dict(trial.system_attrs.get("fixed_params") or trial.params)


def _all_labels_of(trial, choices) -> dict:
    """Returns the labels of a trial; none while a sampler has drawn only some."""
    labels = labels_of(trial)
    return labels if len(labels) == len(choices.labels) else {}


def progress_of(trials, choices, retries) -> Progress:
    """Returns the `Progress` of all trials of a study.

    Args:
        trials: A list of `optuna.trial.FrozenTrial`.
        choices: The `Choices`.
        retries: Integer, how often a combination that failed is begun again.
    """
    ended, alive, failed, unknown, waiting = set(), set(), {}, 0, False
    for trial in trials:
        labels, state = _all_labels_of(trial, choices), trial.state.name
        if SURPLUS in trial.user_attrs:
            continue
        key = choices.key(labels)
        if state in ("COMPLETE", "PRUNED") or REFUSED in trial.user_attrs:
            ended.add(key)
        elif state in ("RUNNING", "WAITING"):
            waiting |= state == "WAITING"
            unknown += not labels
            alive |= {key} if labels else set()
        elif labels:
            failed.setdefault(key, []).append(labels)
    ended |= {key for key, found in failed.items() if len(found) > retries}
    alive -= ended
    again = [f[0] for key, f in failed.items() if key not in ended | alive]
    taken = ended | alive | set(failed)
    return Progress(ended, len(alive) + unknown, taken, waiting, again)


def untried(choices, taken, seed) -> dict | None:
    """Returns the labels of a combination that is new; `None` if there is none.

    All processes try them in the same order, which is random.
    """
    drawn, count = random.Random(seed), choices.count
    if count <= _FEW:
        order = drawn.sample(range(count), count)
    else:  # then hardly any is taken
        order = (drawn.randrange(count) for _ in itertools.count())
    rows = map(choices.row, order)
    return next((row for row in rows if choices.key(row) not in taken), None)


def undrawn(trial, trials, choices) -> set[int]:
    """Returns the numbers of earlier trials whose labels are about to be drawn.

    Args:
        trial: The `optuna.trial.Trial` that asks.
        trials: All of the study.
        choices: The `Choices`.
    """
    return {
        other.number
        for other in trials
        if other.number < trial.number
        and other.state.name == "RUNNING"
        and SURPLUS not in other.user_attrs
        and not _all_labels_of(other, choices)
    }


def is_surplus(trial, trials, choices, wanted) -> bool:
    """Returns whether an earlier trial has the same combination, or all are begun.

    Args:
        trial: The `optuna.trial.Trial` that asks, with its parameters.
        trials: All of the study.
        choices: The `Choices`.
        wanted: Integer, the number of combinations to try.
    """
    before: set[str] = set()
    for other in trials:
        state, attributes = other.state.name, other.user_attrs
        if other.number < trial.number and SURPLUS not in attributes:
            if labels := _all_labels_of(other, choices):
                key = choices.key(labels)
                if state != "FAIL":
                    before.add(key)
    key = choices.key(trial.params)
    return key in before or len(before) >= wanted


def job_of(trial, objective) -> Job:
    """Returns the `Job` that a `optuna.trial.FrozenTrial` is."""
    known, state = trial.user_attrs, trial.state.name
    names = {
        "COMPLETE": "done",
        "PRUNED": "over budget",
        "RUNNING": "running",
        "WAITING": "waiting",
    }
    error = known.get("error", "")
    if state == "FAIL" and not error:
        error = "the process that ran it has ended"
    return Job(
        number=trial.number,
        values=labels_of(trial),
        state="refused" if REFUSED in known else names.get(state, "failed"),
        left=trial.value if state == "COMPLETE" else math.nan,
        score=known.get("score", math.nan),
        baseline=known.get("baseline", math.nan),
        seconds=known.get("seconds", math.nan),
        folder=known.get("folder", ""),
        host=known.get("host", ""),
        error=error,
    )
