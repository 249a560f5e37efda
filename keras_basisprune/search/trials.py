"""The list of networks that a search has tried."""

from keras_basisprune.search.search_boards import search_boards


class Trials:
    """Collects trials, each once, and shows them.

    Args:
        callbacks: Keras callbacks; the TensorBoards among them get the figures.
        progress: A `Progress`.
    """

    def __init__(self, callbacks, progress):
        self._found: dict = {}
        self._boards, self._progress = search_boards(callbacks), progress

    def __getitem__(self, question):
        """Returns the `Trial` that answers a question."""
        return self._found[question]

    def all(self) -> tuple:
        """Returns all `Trial`s, in order."""
        return tuple(self._found.values())

    def place(self, question) -> int:
        """Returns the number of a trial, from 0."""
        return list(self._found).index(question)

    def record(self, question, trial):
        """Adds a `Trial` to the list and to TensorBoard, unless it is known."""
        if question in self._found:
            return
        self._found[question] = trial
        self._progress.show(trial)
        names = ("round", "kept", "params", "flops", "score")
        logs = {name: getattr(trial, name) for name in names}
        for board in self._boards:
            board.on_epoch_end(len(self._found) - 1, logs)

    def close(self):
        """Closes the TensorBoards."""
        for board in self._boards:
            board.on_train_end()
