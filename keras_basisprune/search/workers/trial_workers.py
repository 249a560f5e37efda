"""Processes that try several networks of a search at once."""

import dataclasses
import json
import os
import pathlib
import tempfile
import warnings

import keras

from keras_basisprune.data.examples.on_disk import on_disk
from keras_basisprune.search.workers import trial_site
from keras_basisprune.utils.files import save_model, write_text

_CALLER = 2
# What OpenMP, OpenBLAS, TensorFlow and MKL take for the number of threads.
_THREADS = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "TF_NUM_INTRAOP_THREADS",
)


class TrialWorkers:
    """Processes that cut and judge networks of a search, several at once.

    A process gets the original, the images that are fitted on, and those that are
    judged on, when it begins; it holds them in memory, beside a TensorFlow of its own
    (or JAX, or PyTorch). A dataset that is judged on is written to a temporary folder,
    and not held in memory. The processors are shared out evenly.

    Args:
        count: Integer, how many processes, at least 2.
        call: A `TrialCall`.
        network: The original `keras.Model`, flat.
        folder: A `RunFolder`, which gets what they find out.
    """

    def __init__(self, count, call, network, folder):
        self.count, self._folder = count, folder
        self._asked: dict = {}  # futures by round and key
        self._temporary = tempfile.TemporaryDirectory()
        self._place = pathlib.Path(self._temporary.name)
        if not call.validation.in_memory and call.reads_validation:
            held = on_disk(call.validation, self._place)
            call = dataclasses.replace(call, validation=held)
        (self._place / "call.pickle").write_bytes(call.pickled())
        save_model(network, self._place / "1.keras")
        self._executor = _executor(count)

    def begin(self, number, network):
        """Begins a round, in which another network is cut.

        Args:
            number: Integer, the round.
            network: The `keras.Model` that is cut.
        """
        self._forget()
        path = self._place / f"{number}.keras"
        if number > 1 and not path.exists():
            save_model(network, path)

    def ask(self, number, keys):
        """Has cuts made, as long as there are processes without work.

        Args:
            number: Integer, the round.
            keys: Sequence of `CutKey`s; the first is begun in any case.
        """
        written = False
        for at, key in enumerate(keys):
            working = sum(not future.done() for future in self._asked.values())
            if (number, key) in self._asked or (at and working >= self.count):
                continue
            if not written:
                # By a file: what is asked has to fit into a pipe, or a process that is
                # killed leaves the pipe full, and `close` waits forever.
                answers = json.dumps(self._folder.known())
                write_text(self._place / trial_site.KNOWN, answers)
                written = True
            given = str(self._place), number, key.keep, key.method
            future = self._executor.submit(trial_site.try_cut, *given)
            self._asked[number, key] = future

    def answer(self, number, key) -> dict:
        """Returns what is to be remembered of a cut; waits for it.

        Raises:
            RuntimeError: If the process has ended by itself.
        """
        from loky.process_executor import BrokenProcessPool

        self.ask(number, [key])
        try:
            answer, found, texts = self._asked[number, key].result()
        except BrokenProcessPool as error:
            raise RuntimeError(
                f"A worker has ended by itself, of {self.count}. If memory was short, "
                "pass fewer `workers`. What was found so far is in `output_dir`."
            ) from error
        self._folder.learn(found)
        for text in texts:
            warnings.warn(text, stacklevel=_CALLER)
        return answer

    def close(self):
        """Ends the processes, whatever they are doing.

        They are killed, since they hold nothing of value: a process that ends by itself
        may hang on its way.
        """
        self._executor.shutdown(wait=True, kill_workers=True)
        self._temporary.cleanup()

    def _forget(self):
        """Drops what was asked for in vain, if it has not begun."""
        for future in self._asked.values():
            future.cancel()
        self._asked = {}


def _executor(count):
    import loky

    backend = keras.backend.backend()
    threads = str(max(1, (os.cpu_count() or 1) // count))
    environment = {"KERAS_BACKEND": backend, **dict.fromkeys(_THREADS, threads)}
    # A process whose memory grows by 300 MB would be ended, and another one begun: what
    # compiled functions take is no leak, and an end may hang (`close`).
    environment["LOKY_MAX_MEMORY_LEAK_SIZE"] = "1e18"
    given = (
        keras.config.floatx(),
        keras.config.image_data_format(),
        keras.dtype_policies.serialize(keras.config.dtype_policy()),
    )
    return loky.ProcessPoolExecutor(
        max_workers=count,
        initializer=trial_site.begin,
        initargs=(backend, *given),
        env=environment,
    )
