"""The state of a search on disk, from which the same call continues."""

import hashlib
import json
import pathlib
import warnings

import keras
import numpy as np

from keras_basisprune.graph.fitting_layouts import fitting_layouts
from keras_basisprune.search.layer_objects import layer_objects
from keras_basisprune.utils.check_path import check_path
from keras_basisprune.utils.files import save_model, sweep, write_text
from keras_basisprune.utils.processes import check_same, from_first, process_count
from keras_basisprune.utils.temporary_folder import TemporaryFolder

_FILES = ("state.json", "*.keras", "latency.json", "owner.json")
# 1 had no checksums, 2 no names of methods, 3 no measured sensitivity.
_VERSION = 5


class RunFolder:
    """Remembers the intermediate results of a search, in memory and in a folder.

    A search is a function of its arguments: run again, it asks the same questions in
    the same order, so only the answers need to be stored. `state.json` holds them, with
    checksums of them and of what they depend on; networks are `.keras` files beside it,
    and their checksums are among the answers. Each file is written whole or not at all,
    so the process may be killed at any moment. A network whose file was changed is made
    again, with a warning; a changed `state.json` is refused.

    One process at a time may work in a folder: see `locked`. Of several that search
    together, the first reads and writes, and tells the others.

    Args:
        folder: The folder, which is created; `None` for memory alone.
        belongs_to: Dict of what the answers depend on, by name: values that JSON can
            represent (compared by equality).

    Raises:
        ValueError: If the folder holds the state of another search, or a damaged one.
    """

    def __init__(self, folder, belongs_to):
        self._folder = None if folder is None else pathlib.Path(folder)
        self._belongs_to = json.loads(json.dumps(belongs_to))
        self._answers: dict[str, object] = {}
        if self._folder is not None:
            check_same(search=self._belongs_to)
            self._answers = from_first(self._read)

    @property
    def _state(self) -> pathlib.Path:
        return self._folder / "state.json"

    def _read(self):
        """Returns the answers that are known, and removes unfinished files."""
        answers = self._known_answers() if self._state.exists() else {}
        sweep(self._folder, _FILES)
        return answers

    def _known_answers(self):
        try:
            content = json.loads(self._state.read_text(encoding="utf-8"))
            if content["version"] != _VERSION:
                raise ValueError(
                    f"version {content['version']}, which another version of "
                    "keras_basisprune wrote"
                )
            known, answers = dict(content["belongs_to"]), dict(content["answers"])
            if content["sha256"] != _text_checksum(known, answers):
                raise ValueError("it is not as it was written")
        except (OSError, KeyError, TypeError, ValueError) as error:
            raise ValueError(
                "Expected `output_dir` to be empty or to hold the state of a search. "
                f"Received: {self._state}, which can't be read "
                f"({type(error).__name__}: {error}). Delete the folder {self._folder} "
                "to start again, or choose another `output_dir`."
            ) from error
        names = {*known, *self._belongs_to}
        other = sorted(n for n in names if known.get(n) != self._belongs_to.get(n))
        if other:
            told = ", ".join(f"{n} ({_shown(known.get(n))})" for n in other)
            raise ValueError(
                "Expected `output_dir` to be empty or to hold the state of this "
                f"search. Received: {self._folder}, whose search had another {told}. "
                "Pass the same arguments to continue, delete that folder to start "
                "again, or choose another `output_dir`."
            )
        return answers

    def recall(self, question, find):
        """Returns the answer to a question, computed only if it is not known yet.

        Args:
            question: String that names it.
            find: A function without arguments that returns a value that JSON can
                represent (NaN too); it is on disk before `recall` returns.
        """
        if question not in self._answers:
            answer = find()  # of several processes, the first one's: all go on alike
            self.remember(question, from_first(lambda: answer))
        return self._answers[question]

    def knows(self, question) -> bool:
        """Returns whether the answer to a question is known."""
        return question in self._answers

    def known(self) -> dict:
        """Returns all answers by question."""
        return dict(self._answers)

    def learn(self, answers):
        """Stores answers of the same search that are not known yet.

        Args:
            answers: Dict by question.
        """
        new = {**answers, **self._answers}
        if len(new) > len(self._answers):
            self._write(new)
            self._answers = new

    def remember(self, question, answer):
        """Stores an answer, in place of an older one."""
        answers = {**self._answers, question: answer}
        self._write(answers)
        self._answers = answers

    def recall_model(self, name, make, like=None):
        """Returns the network of a name, made only if it is not stored yet.

        Args:
            name: String, the name of the file without `.keras`.
            make: A function without arguments that returns a `keras.Model`.
            like: A model whose layer classes, activations and `Lambda`s it may have.
        """
        path = None if self._folder is None else self._folder / f"{name}.keras"
        known = path and from_first(lambda: self._is_stored(path))
        if known:
            return _loaded_everywhere(path, like)
        model = make()
        if path:
            save_model(model, path)
            self.remember(path.name, from_first(lambda: _file_checksum(path)))
        return model

    def _is_stored(self, path) -> bool:
        """Returns whether a network is stored as this search has written it."""
        check_path("output_dir", path, "file")
        # A file without an answer may be of a search whose state was deleted.
        if path.name not in self._answers or not path.exists():
            return False
        if self._answers[path.name] == _file_checksum(path):
            return True
        warnings.warn(
            f"{path} is not as this search has written it: it is damaged or was "
            "replaced. The network is made again, and the file is overwritten.",
            stacklevel=4,
        )
        return False

    def _write(self, answers):
        if self._folder is None:
            return
        content = {
            "version": _VERSION,
            "belongs_to": self._belongs_to,
            "answers": answers,
            "sha256": _text_checksum(self._belongs_to, answers),
        }
        write_text(self._state, json.dumps(content, indent=1))


def _text_checksum(*values) -> str:
    """Returns a checksum that is the same before and after a round trip by JSON."""
    return hashlib.sha256(json.dumps(values).encode()).hexdigest()


def _file_checksum(path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _loaded_everywhere(path, like):
    """Loads a network; processes that may not see the file get it from the first."""
    if process_count() == 1:
        return _loaded(path, like)
    content = from_first(path.read_bytes)
    with TemporaryFolder() as folder:
        place = pathlib.Path(folder) / path.name
        place.write_bytes(content)
        return _loaded(place, like)


@fitting_layouts()
def _loaded(path, like):
    layers, known = [] if like is None else like.layers, layer_objects(like)
    # The file was written by a search with this very model, which has the same code.
    safe = not any(isinstance(layer, keras.layers.Lambda) for layer in layers)
    return keras.models.load_model(path, known, compile=False, safe_mode=safe)


def _shown(value) -> str:
    text = "none" if value is None else str(value)
    return text if len(text) <= 40 else f"{text[:12]}..."


def checksum(*arrays) -> str:
    """Returns a hexadecimal checksum of arrays: values, shapes and dtypes."""
    found = hashlib.sha256()
    for array in arrays:
        if array is None:
            found.update(b"none")
            continue
        array = np.asarray(array)
        found.update(f"{array.shape} {array.dtype}".encode())
        found.update(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)
    return found.hexdigest()


def model_checksum(model) -> str:
    """Returns a hexadecimal checksum of a model's layers and weights."""
    weights = [keras.ops.convert_to_numpy(w) for w in model.weights]
    config = json.dumps(model.get_config(), sort_keys=True, default=str)
    layers = hashlib.sha256(config.encode()).hexdigest()
    return layers[:32] + checksum(*weights)[:32]
