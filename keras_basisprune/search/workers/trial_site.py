"""Cuts and judges networks in a worker process."""

import functools
import json
import pathlib
import pickle
import threading
import time
import warnings

import keras
from tqdm.auto import tqdm

from keras_basisprune.search.cut_key import CutKey
from keras_basisprune.search.cutter import Cutter
from keras_basisprune.search.judge import Judge
from keras_basisprune.search.judged_cut import judged_cut
from keras_basisprune.search.objective import Objective
from keras_basisprune.search.quiet_retracing import quiet_retracing
from keras_basisprune.search.run_folder import RunFolder
from keras_basisprune.search.scorer import Scorer
from keras_basisprune.search.shipped import Shipped

KNOWN = "known.json"


class TrialSite:
    """Cuts and judges networks in a worker process, as `Cuts` does in its own.

    What does not depend on the share is kept from one trial to the next.

    Args:
        folder: A folder with `call.pickle` (a `TrialCall`) and the networks that are
            cut, `1.keras`, `2.keras`, ... by round; the first is the original. When
            a cut is asked for, also with `known.json`: what the search remembers.
    """

    def __init__(self, folder):
        self._folder = pathlib.Path(folder)
        self._call = call = pickle.loads((self._folder / "call.pickle").read_bytes())
        self._methods = {method.name: method for method in call.methods}
        self._answers = RunFolder(None, {})
        original = self._network(1)
        given = call.validation, [call.metric], call.outputs
        more = {"seed": call.seed, "constants": call.constants}
        self._cutters, self._original = {}, original
        self._score = Scorer(original, *given, **more)
        self._judge = None

    def tried(self, number, key):
        """Cuts and judges a network.

        Args:
            number: Integer, the round.
            key: A `CutKey`.

        Returns:
            What the search shall remember of the trial, and a dict of what else was
            found out on the way.
        """
        known = json.loads((self._folder / KNOWN).read_text(encoding="utf-8"))
        self._answers.learn(known)
        if self._judge is None:
            self._judge = self._made_judge()
        cutter, row = self._cutter(number), self._methods[key.method]
        start = time.perf_counter()
        cut = cutter.cut(key.keep, row)
        seconds = {"fitting": time.perf_counter() - start}
        judge = self._judge.in_round(number)
        answer, _ = judged_cut(judge, cut, seconds, cutter.samples(row))
        found = self._answers.known()
        return answer, {name: found[name] for name in found.keys() - known.keys()}

    def _made_judge(self):
        call, goal, shipped = self._call, Objective(self._call.cost), None
        if call.ship is not None:
            given = call.ship, call.images, 1, False, call.labels, call.calibrate
            shipped = Shipped(*given)
            goal = Objective(call.cost, export=shipped.export)
        given = self._original, self._score, goal, self._answers, shipped
        return Judge(*given, call.least, call.margin)

    def _cutter(self, number) -> Cutter:
        if number not in self._cutters:
            network = self._original if number == 1 else self._network(number)
            recall = functools.partial(_recalled, self._answers, number)
            given = self._call.images, self._call.cut_options
            self._cutters = {number: Cutter(network, *given, recall=recall)}
        return self._cutters[number]

    def _network(self, number):
        """Loads a network of the search's own, which is trusted as it is."""
        path = self._folder / f"{number}.keras"
        given = {"compile": False, "safe_mode": False}
        return keras.models.load_model(path, self._call.objects, **given)


def _recalled(folder, number, question, find):
    return folder.recall(f"round {number}: {question}", find)


@functools.lru_cache(maxsize=1)
def _site(folder) -> TrialSite:
    return TrialSite(folder)


def try_cut(folder, number, keep, method):
    """Cuts and judges a network in this process.

    Args:
        folder: As in `TrialSite`.
        number: Integer, the round.
        keep: Float, the share to keep.
        method: The name of a `Method`.

    Returns:
        What `TrialSite.tried` returns, and a list of the texts of warnings.
    """
    with warnings.catch_warnings(record=True) as told, quiet_retracing():
        warnings.simplefilter("always", UserWarning)
        answer, found = _site(folder).tried(number, CutKey(keep, method))
    texts = [str(one.message) for one in told if one.category is UserWarning]
    return answer, found, texts


def begin(backend, floatx, data_format, policy):
    """Makes Keras work as in the process of the search; the first thing that is done.

    Args:
        backend: String, its backend.
        floatx: As in `keras.config`.
        data_format: As in `keras.config`.
        policy: Config of the dtype policy.
    """
    if keras.backend.backend() != backend:
        raise RuntimeError(f"Keras runs on {keras.backend.backend()}, not {backend}.")
    # Its own lock is a semaphore of the system, which a process that is killed leaves.
    tqdm.set_lock(threading.RLock())
    keras.config.set_floatx(floatx)
    keras.config.set_image_data_format(data_format)
    keras.config.set_dtype_policy(keras.dtype_policies.deserialize(policy))
