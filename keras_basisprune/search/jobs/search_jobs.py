"""Searches over methods, seeds and options, in many processes with one storage."""

from collections.abc import Mapping, Sequence
from typing import Any

import keras

from keras_basisprune.graph.trace import check_model
from keras_basisprune.search.jobs._job_search import JobSearch
from keras_basisprune.search.jobs._storage import imported_optuna, open_storage
from keras_basisprune.search.jobs.choices import Choices
from keras_basisprune.search.jobs.jobs_result import JobsResult
from keras_basisprune.search.objective import Objective
from keras_basisprune.utils.check_choice import check_choice
from keras_basisprune.utils.check_duration import check_duration
from keras_basisprune.utils.check_path import check_path
from keras_basisprune.utils.check_whole import check_whole
from keras_basisprune.utils.shown import shown
from keras_basisprune.utils.types import Data, Path


def search_jobs(
    model: keras.Model,
    train: Data,
    validation: Data,
    *,
    choices: Mapping[str, Sequence[Any]],
    output_dir: Path,
    objective: str = "flops",
    jobs: int | None = None,
    storage: Any = None,
    name: str = "keras_basisprune",
    sampler: Any = None,
    sampler_seed: int = 0,
    retries: int = 2,
    heartbeat: int = 60,
    patience: float | str = "1h",
    test: Data = None,
    verbose: int = 0,
    **arguments: Any,
) -> JobsResult:
    """Runs many searches with `compress`, shared with other processes and machines.

    Each job is one call of `compress` with other arguments, in a folder of its own.
    Any number of processes may call this function with the same arguments, on any
    machines, and share the work through one storage of Optuna, which says what was
    tried, what runs, and what was found. A process that comes later joins in, and the
    same call after all have ended returns what is known.

    The value of a job is the share of the `objective` that is left, if the network is
    within the budget; otherwise it is pruned, in the words of Optuna. A job whose
    process was killed is begun again by another one, when it has shown no sign of life
    for twice the `heartbeat`, and so is one that failed: where it finds the folder that
    was begun, it continues from the state there. Where the storage can't be reached
    any more, calls are repeated for as long as `patience`, while jobs run on.

    Time is that of the jobs: one `compress` each, and some milliseconds for the
    storage. SQLite is made for one machine; for several use PostgreSQL or MySQL.

    Args:
        model: A trained model, as for `compress`.
        train: As for `compress`.
        validation: As for `compress`.
        choices: Dict from names of arguments of `compress` (`"methods"`, `"cost"`,
            `"recover"`, `"seed"`, ...), or of fields of its records
            (`"config.margin"`, `"recover.learning_rate"`), to lists of values.
        output_dir: Folder for the folders of the jobs (`jobs/<values>`). It need not
            be shared: every process writes the jobs that it runs.
        objective: `"flops"`, `"params"`, `"bytes"` or `"latency"` (only comparable on
            machines of one kind): what is compared, whatever the `cost` that a job
            makes small.
        jobs: Integer, the number of combinations to try in all processes together,
            which the `sampler` chooses; `None` for all there are.
        storage: A URL such as `"postgresql+psycopg://user@host/name"`, the path of an
            SQLite file, or an `optuna.storages` object (those without heartbeats, such
            as `JournalStorage`, don't notice that a process was killed, and none of
            them is waited for when it can't be reached). Defaults to
            `jobs.db` in `output_dir`.
        name: String, the name of the study in the storage.
        sampler: An `optuna.samplers` object; defaults to `TPESampler`. No combination
            is tried twice.
        sampler_seed: Integer, the seed of the order and of the sampler; `seed` is that
            of `compress`.
        retries: Integer, how often a job is begun again.
        heartbeat: Integer, seconds between two signs of life of a job.
        patience: Seconds, or a text such as `"1h"`, that a lost storage is waited for.
        test: As for `compress`.
        verbose: Whether `compress` shows progress.
        **arguments: Arguments of `compress` that all jobs have in common.

    Returns:
        A `JobsResult`.

    Raises:
        ImportError: Optuna is not installed.
        ConnectionError: The storage has been away for longer than `patience`.
        ValueError: An argument is not valid, the storage can't be reached or holds
            another search under this name, or that of another version of this package;
            or no job can be run with its arguments.

    Example:

    >>> found = keras_basisprune.search.search_jobs(
    ...     model, train, validation, output_dir="out",
    ...     storage="postgresql+psycopg://me@host/searches",
    ...     choices={"methods": [["basis"], ["basis", "channels"]], "seed": range(3)},
    ...     max_drop=0.01, recover="all")
    >>> found.best, found.load()
    """
    optuna = imported_optuna()
    check_model("model", model)
    folder = check_path("output_dir", output_dir, "folder")
    check_choice("objective", objective, ("flops", "params", "bytes", "latency"))
    known = Choices(choices, arguments)
    if not (isinstance(name, str) and name):
        raise ValueError(
            f"Expected `name` to be a text. Received: name={shown(name)}. Pass "
            "'digits', say."
        )
    if jobs is not None:
        jobs = check_whole("jobs", jobs)
    if not isinstance(sampler, optuna.samplers.BaseSampler | None):
        raise ValueError(
            "Expected `sampler` to be of `optuna.samplers`. Received: "
            f"sampler={shown(sampler)}. Leave it out for `TPESampler`."
        )
    search = JobSearch(
        optuna=optuna,
        call=(model, train, validation, test, verbose),
        choices=known,
        folder=folder,
        goal=Objective(objective),
        jobs=jobs,
        name=name,
        sampler=sampler,
        seed=check_whole("sampler_seed", sampler_seed, 0),
        retries=check_whole("retries", retries, 0),
    )
    given = check_whole("heartbeat", heartbeat), check_duration("patience", patience)
    search.check()
    search.open(open_storage(storage, folder, *given))
    return search.run()
