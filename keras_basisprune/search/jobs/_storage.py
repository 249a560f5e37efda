"""Opens the storage that all processes of a search share."""

import contextlib
import functools
import hashlib
import os
import pathlib
import random
import tempfile
import time
import warnings

import filelock

from keras_basisprune.utils.check_path import check_path
from keras_basisprune.utils.shown import shown

_FIRST, _LONGEST = 0.2, 30.0  # seconds between two attempts
_ATTEMPTS = 5  # to open it
_BUSY = 30  # seconds that SQLite waits for other processes


class StorageLost(ConnectionError):
    """The storage of a search has been away for too long."""


def imported_optuna():
    """Returns the module, or says what to install."""
    try:
        import optuna
    except ImportError as error:
        raise ImportError(
            "search_jobs needs Optuna, which is not installed. Run: "
            'pip install "keras-basisprune[optuna]"'
        ) from error
    return optuna


def open_storage(storage, folder, heartbeat, patience):
    """Opens a storage, and makes calls of it wait while it can't be reached.

    Args:
        storage: A URL, a path, or an `optuna.storages.BaseStorage`; `None` for
            `jobs.db` in `folder`.
        folder: A `pathlib.Path`.
        heartbeat: Integer, seconds between two signs of life of a job.
        patience: Float, seconds that a call tries again.

    Returns:
        An `optuna.storages.BaseStorage`.

    Raises:
        ValueError: If it can't be reached.
    """
    optuna = imported_optuna()
    if isinstance(storage, optuna.storages.BaseStorage):
        return storage
    import sqlalchemy.exc

    url = _url(storage, folder)
    options = {"pool_pre_ping": True}
    if url.startswith("sqlite"):
        options["connect_args"] = {"timeout": _BUSY}
    known = sqlalchemy.exc
    lost = known.OperationalError, known.InterfaceError
    lost += (optuna.exceptions.StorageInternalError,)
    given = {"engine_kwargs": options, "heartbeat_interval": heartbeat}
    for attempt in range(_ATTEMPTS):
        try:
            with experimental_is_fine(optuna):
                found = optuna.storages.RDBStorage(
                    url, grace_period=2 * heartbeat, **given
                )
            # What a study works with: it remembers trials, and calls the database.
            found = optuna.storages.get_storage(found)
            kind = type(found)
            if url.startswith("sqlite"):
                kind = _taking_turns(kind, url)
            found.__class__ = _patient(kind, lost, patience)
            return found
        except (known.SQLAlchemyError, ImportError, *lost) as error:
            if attempt < _ATTEMPTS - 1:  # two processes may create the tables at once
                time.sleep(_FIRST * random.uniform(1, 2))
                continue
            plain = " ".join(str(error).split())[:300]
            raise ValueError(
                "Expected `storage` to be a database that can be reached. Received: "
                f"{_without_password(url)} ({type(error).__name__}: {plain}). Check "
                "the address, that the server runs, and that its driver is installed."
            ) from error


def _url(storage, folder) -> str:
    if storage is None:
        folder.mkdir(parents=True, exist_ok=True)
        return f"sqlite:///{(folder / 'jobs.db').absolute()}"
    if isinstance(storage, str) and "://" in storage:
        return storage
    if not isinstance(storage, str | os.PathLike):
        raise ValueError(
            "Expected `storage` to be a URL such as 'postgresql+psycopg://host/name', "
            "the path of an SQLite file, or an `optuna.storages` object. Received: "
            f"storage={shown(storage)}. Leave it out for a file in `output_dir`."
        )
    path = pathlib.Path(check_path("storage", storage, "file")).absolute()
    if not path.parent.is_dir():
        raise ValueError(
            "Expected `storage` to be a file in a folder that exists. Received: "
            f"{path}. Create the folder, or check the path."
        )
    return f"sqlite:///{path}"


def _without_password(url) -> str:
    import sqlalchemy

    try:
        return sqlalchemy.make_url(url).render_as_string(hide_password=True)
    except sqlalchemy.exc.SQLAlchemyError:
        return url.partition("://")[0] + "://..."


def _taking_turns(kind, url):
    """Returns a subclass of a storage in SQLite, of which a trial is begun only once.

    Other databases lock the row of a trial that is about to be begun. SQLite does not,
    and so two processes could begin the same trial. The lock is a file of this machine.
    """
    name = hashlib.sha256(url.encode()).hexdigest()[:16]
    path = pathlib.Path(tempfile.gettempdir()) / f"keras_basisprune_{name}.lock"

    class TakingTurns(kind):
        def set_trial_state_values(self, trial_id, state, values=None):
            begin = super().set_trial_state_values
            if state.name != "RUNNING":
                return begin(trial_id, state, values)
            with filelock.FileLock(path, mode=0o666):  # for other users, too
                if self.get_trial(trial_id).state.name != "WAITING":
                    return False
                return begin(trial_id, state, values)

    return TakingTurns


def _patient(kind, lost, patience):
    """Returns a subclass of a storage whose calls are repeated while it is away.

    Args:
        kind: The class.
        lost: The exceptions that mean that it is.
        patience: Float, seconds until `StorageLost` is raised.
    """

    def repeated(method):
        @functools.wraps(method)
        def call(self, *args, **kwargs):
            end, pause = None, _FIRST
            while True:
                try:
                    return method(self, *args, **kwargs)
                except StorageLost:
                    raise
                except lost as error:
                    now = time.monotonic()
                    end = now + patience if end is None else end
                    if now >= end:
                        plain = " ".join(str(error).split())[:300]
                        raise StorageLost(
                            f"Expected `storage` to be back within {patience:g} "
                            f"seconds. Received: {type(error).__name__}: {plain}. When "
                            "it can be reached again, the same call goes on."
                        ) from error
                    time.sleep(min(pause * random.uniform(0.5, 1), end - now))
                    pause = min(2 * pause, _LONGEST)

        return call

    names = [name for base in kind.__mro__ for name in vars(base)]
    # `_get_stale_trial_ids` is of the interface that storages implement, too.
    public = {n for n in names if n == "_get_stale_trial_ids" or not n.startswith("_")}
    methods = {name: getattr(kind, name) for name in public}
    return type(
        kind.__name__,
        (kind,),
        {n: repeated(m) for n, m in methods.items() if callable(m)},
    )


@contextlib.contextmanager
def experimental_is_fine(optuna):
    """Keeps quiet that signs of life are an experimental feature of Optuna."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        yield
