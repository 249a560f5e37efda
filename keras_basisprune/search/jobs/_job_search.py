"""Takes jobs from a storage, and runs them."""

import inspect
import os
import platform
import time
import warnings

from keras_basisprune.data.relevance.encoder_fingerprint import encoder_fingerprint
from keras_basisprune.search.checked_call import checked_call
from keras_basisprune.search.compress import compress
from keras_basisprune.search.jobs._progress import (
    FOLDER,
    REFUSED,
    SURPLUS,
    is_surplus,
    job_of,
    progress_of,
    undrawn,
    untried,
)
from keras_basisprune.search.jobs._storage import StorageLost, experimental_is_fine
from keras_basisprune.search.jobs.jobs_result import JobsResult
from keras_basisprune.search.locked import FolderInUse
from keras_basisprune.version import __version__

_POLL = 2.0  # seconds between looks at jobs of others
_DRAWN = 10.0  # seconds in which a process says what it tries


class JobSearch:
    """A process that takes part in a search.

    Args:
        optuna: The module.
        call: The model, `train`, `validation`, `test` and `verbose` of `compress`.
        choices: A `Choices`.
        folder: The `pathlib.Path` of the folders of jobs.
        goal: An `Objective`.
        jobs: Integer or `None`, as in `search_jobs`, as all that follow.
    """

    def __init__(
        self, optuna, call, choices, folder, goal, jobs, name, sampler, seed, retries
    ):
        self._optuna, self._call, self._choices = optuna, call, choices
        self._folder, self._goal, self._name = folder, goal, name
        every = choices.count
        self._all = jobs is None or jobs >= every
        self._wanted = every if self._all else jobs
        self._sampler, self._seed, self._retries = sampler, seed, retries
        self._before = None  # the objective of the original
        self._number = None  # of the job that runs
        self._watched: set[int] = set()  # numbers of jobs of others
        self._silent: set[int] = set()  # those that have not said what they try

    def check(self):
        """Raises what `compress` would, before anything is written.

        Data are checked with the first arguments; those of later jobs are refused one
        by one.
        """
        first = self._choices.arguments(self._choices.row(0))
        model, train, validation, test, verbose = self._call
        defaults = {
            name: parameter.default
            for name, parameter in inspect.signature(compress).parameters.items()
        }
        own = {"model": model, "train": train, "validation": validation, "test": test}
        checked_call(**{**defaults, **first, **own, "verbose": verbose})

    def open(self, storage):
        """Creates or joins the study; raises unless it is of this search."""
        optuna = self._optuna
        # Without signs of life, others may have ended long ago.
        self._storage = storage
        interval = getattr(storage, "get_heartbeat_interval", lambda: None)
        self._waits = interval() is not None
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self._study = optuna.create_study(
            storage=storage, study_name=self._name, load_if_exists=True
        )
        count = len(self._study.get_trials(deepcopy=False))
        self._study.sampler = self._sampler or optuna.samplers.TPESampler(
            seed=self._seed + count
        )
        ours = self._about()
        if not self._study.user_attrs.get("about"):
            if count:
                raise ValueError(
                    f"Expected the study {self._name!r} of `storage` to be one of "
                    f"`search_jobs`. Received: another one, with {count} trials. "
                    "Choose another `name`."
                )
            self._study.set_user_attr("about", ours)
        self._check(ours)

    def _about(self) -> dict:
        model = encoder_fingerprint(self._call[0])
        return {
            "version": __version__,
            "objective": self._goal.kind,
            "model": model[:16],
            "choices and arguments": self._choices.fingerprint()[:16],
        }

    def _check(self, ours):
        """Raises `ValueError` unless the study belongs to this search."""
        theirs = self._study.user_attrs["about"]
        if theirs["version"] != ours["version"]:
            raise ValueError(
                "Expected all processes of a search to run one version of "
                f"keras_basisprune. Received: {ours['version']} here, and "
                f"{theirs['version']} in the search {self._name!r} of `storage`. "
                "Install that version here, or choose another `name`."
            )
        other = [part for part in ours if theirs.get(part) != ours[part]]
        if other:
            raise ValueError(
                f"Expected the search {self._name!r} of `storage` to be this one. "
                f"Received: one with another {', '.join(other)}. Pass the same "
                "arguments, or choose another `name`."
            )

    def run(self) -> JobsResult:
        """Runs jobs until all are done, by this process or others."""
        ours = self._about()
        while True:
            with experimental_is_fine(self._optuna):
                self._optuna.storages.fail_stale_trials(self._study)
            self._check(ours)
            trials = self._study.get_trials(deepcopy=False)
            found = progress_of(trials, self._choices, self._retries)
            if len(found.ended) >= self._wanted:
                break
            if not self._prepare(found):
                if not self._waits:
                    break
                self._watch(trials)
                time.sleep(_POLL)
                continue
            self._run_one()
        return self._result()

    def _watch(self, trials):
        """Gives a sign of life, once, for each job that others have only begun.

        If its process was killed, or lost the storage, before the first one, it would
        be waited for forever. So it will be given up.
        """
        study = self._storage.get_study_id_from_name(self._name)
        for trial in trials:
            number, begun = trial.number, trial.state.name == "RUNNING"
            if begun and FOLDER not in trial.user_attrs and number not in self._watched:
                self._watched.add(number)
                given = study, number
                key = self._storage.get_trial_id_from_study_id_trial_number(*given)
                self._storage.record_heartbeat(key)

    def _prepare(self, found) -> bool:
        """Returns whether a job can be begun; says which, unless the sampler does."""
        if found.waiting:
            return True
        if found.again:
            self._study.enqueue_trial(found.again[0])
            return True
        if len(found.ended) + found.active >= self._wanted:
            return False  # others are at work
        if self._all:
            labels = untried(self._choices, found.taken, self._seed)
            if labels is None:
                return False
            self._study.enqueue_trial(labels)
        return True

    def _run_one(self):
        self._number = None
        try:
            self._study.optimize(self._job, n_trials=1, catch=(Exception,))
        except Exception as error:  # not of the job, but of telling how it has ended
            found, chain = error, []
            while found is not None:
                chain.append(found)
                found = found.__cause__ or found.__context__
            for one in chain:
                if isinstance(one, StorageLost):
                    raise one from None
            state = self._state()
            if state == "FAIL":
                warnings.warn(
                    "A job was given up by other processes, since it showed no sign of "
                    "life. It is begun again; what it found is in its folder.",
                    stacklevel=4,
                )
            elif state not in ("COMPLETE", "PRUNED"):  # or else it was told before
                raise

    def _state(self) -> str | None:
        """Returns the state of the job that ran, as all processes see it."""
        trials = self._study.get_trials(deepcopy=False)
        states = {trial.number: trial.state.name for trial in trials}
        return states.get(self._number)

    def _job(self, trial):
        """Runs one job; what it raises marks the trial as failed."""
        self._number = trial.number
        labels = {
            name: trial.suggest_categorical(name, values)
            for name, values in self._choices.labels.items()
        }
        trials = self._others(trial)
        if is_surplus(trial, trials, self._choices, self._wanted):
            trial.set_user_attr(SURPLUS, True)
            self._instead(trials)
            raise _Surplus
        folder = self._folder / "jobs" / self._choices.key(labels)
        for key, value in (("host", platform.node()), ("process", os.getpid())):
            trial.set_user_attr(key, value)
        trial.set_user_attr(FOLDER, str(folder.absolute()))
        begin = time.monotonic()
        try:
            result = self._compressed(labels, folder)
            if result.details["stopped"] == "interrupt":
                raise KeyboardInterrupt
        except KeyboardInterrupt:
            trial.set_user_attr(SURPLUS, True)  # as if it had not been begun
            raise
        except Exception as error:
            text = f"{type(error).__name__}: {error}"
            trial.set_user_attr("error", text[:1000])
            if isinstance(error, ValueError) and not isinstance(error, FolderInUse):
                trial.set_user_attr(REFUSED, True)  # it would be again
            raise
        trial.set_user_attr("seconds", round(time.monotonic() - begin, 3))
        before, after = result.scores[result.metric]
        trial.set_user_attr("baseline", float(before))
        trial.set_user_attr("score", float(after))
        if not result.met_budget:
            raise self._optuna.TrialPruned("no network is within the budget")
        return self._left(result)

    def _others(self, trial) -> list:
        """Returns all trials, once it is known what the earlier ones try.

        One whose process has ended before it said so is waited for once.
        """
        end = time.monotonic() + _DRAWN
        while True:
            trials = self._study.get_trials(deepcopy=False)
            awaited = undrawn(trial, trials, self._choices) - self._silent
            if not awaited:
                return trials
            if time.monotonic() > end:
                self._silent |= awaited
                return trials
            time.sleep(_POLL / 40)

    def _instead(self, trials):
        """Has another combination tried where the sampler chose a known one."""
        found = progress_of(trials, self._choices, self._retries)
        if not self._all and len(found.ended) < self._wanted and not found.waiting:
            labels = untried(self._choices, found.taken, self._seed)
            if labels is not None:
                self._study.enqueue_trial(labels)

    def _compressed(self, labels, folder):
        model, train, validation, test, verbose = self._call
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="The budget of max_drop")
            return compress(
                model,
                train,
                validation,
                test=test,
                verbose=verbose,
                output_dir=folder,
                **self._choices.arguments(labels),
            )

    def _left(self, result) -> float:
        """Returns the share of the objective that a network leaves."""
        if self._goal.kind in ("flops", "params"):
            return float(getattr(result.report, f"{self._goal.kind}_ratio"))
        if self._before is None:
            self._before = self._goal(self._call[0])
        return self._goal(result.model) / self._before

    def _result(self) -> JobsResult:
        trials = self._study.get_trials(deepcopy=False)
        shown_ones = [t for t in trials if SURPLUS not in t.user_attrs]
        jobs = tuple(job_of(trial, self._goal.kind) for trial in shown_ones)
        refused = [job for job in jobs if job.state in ("refused", "failed")]
        if jobs and len(refused) == len(jobs):
            raise ValueError(
                "Expected arguments of `compress` with which a job can run. Received: "
                f"{len(jobs)} jobs, none of which could; the first one: "
                f"{jobs[0].error} Change the arguments, and choose another `name`."
            )
        return JobsResult(self._goal.kind, jobs)


class _Surplus(Exception):
    """The job is another one's."""
