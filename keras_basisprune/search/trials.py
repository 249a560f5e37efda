"""The networks that a search has tried, in a row."""

from keras_basisprune.search.search_boards import search_boards


class Trials:
    """Takes trials in, each once, and shows them.

    Args:
        callbacks: Keras callbacks; the TensorBoards among them get the figures.
        progress: A `Progress`.
    """

    def __init__(self, callbacks, progress):
        self._found: dict = {}
        self._boards, self._progress = search_boards(callbacks), progress

    def __getitem__(self, question):
        """The `Trial` that answers a question."""
        return self._found[question]

    def all(self) -> tuple:
        """All `Trial`s, in order."""
        return tuple(self._found.values())

    def place(self, question) -> int:
        """The number of a trial, from 0."""
        return list(self._found).index(question)

    def note(self, question, trial):
        """Takes a `Trial` into the list, unless the question is known."""
        if question in self._found:
            return
        self._found[question] = trial
        self._progress.show(trial)
        names = ("round", "kept", "params", "flops", "score")
        logs = {name: getattr(trial, name) for name in names}
        for board in self._boards:
            board.on_epoch_end(len(self._found) - 1, logs)

    def close(self):
        """The search is over."""
        for board in self._boards:
            board.on_train_end()
