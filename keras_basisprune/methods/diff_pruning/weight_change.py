"""New values of one weight of a model."""

import dataclasses

import numpy as np

from keras_basisprune.utils.shown import shown


@dataclasses.dataclass(frozen=True, eq=False)
class WeightChange:
    """New values of one weight: at some positions, or of the whole weight.

    Attributes:
        path: The `path` of the `keras.Variable`, as it was when the task was learned;
            for messages.
        place: Its number among the weights of the base without the head; of a weight of
            the head, among all weights of the model.
        shape: Its shape.
        values: Array of new values, of the weight's dtype: of shape `(k,)` for `k`
            positions, or of the whole weight's shape.
        positions: Integer array of shape `(k,)`, ascending flat positions (in the order
            of the last axis first, as `numpy.ravel` has it); `None` for all of the
            weight.

    Raises:
        ValueError: If the parts don't fit each other.
    """

    path: str
    place: int
    shape: tuple[int, ...]
    values: np.ndarray
    positions: np.ndarray | None = None

    def __post_init__(self):
        shape = tuple(int(size) for size in self.shape)
        object.__setattr__(self, "shape", shape)
        self._check_values(shape)
        for name in ("values", "positions"):
            array = getattr(self, name)
            if array is not None:
                array = np.array(array, np.int64 if name == "positions" else None)
                array.setflags(write=False)
                object.__setattr__(self, name, array)

    def _check_values(self, shape):
        values, positions = self.values, self.positions
        if not isinstance(values, np.ndarray) or values.dtype.kind not in "fiubV":
            self._refuse("values", "an array of numbers", shown(values))
        if positions is None:
            if values.shape != shape:
                self._refuse("values", f"of shape {shape}", shown(values))
            return
        ints = isinstance(positions, np.ndarray) and positions.dtype.kind in "iu"
        if not ints or positions.ndim != 1:
            self._refuse("positions", "a row of integers", shown(positions))
        if values.shape != positions.shape:
            expected = f"of shape {positions.shape}, one per position"
            self._refuse("values", expected, shown(values))
        count = int(np.prod(shape))
        if len(positions) and not 0 <= positions.min() <= positions.max() < count:
            ends = f"{positions.min()} to {positions.max()}"
            self._refuse("positions", f"in [0, {count})", f"positions from {ends}")
        if (positions[1:] <= positions[:-1]).any():
            wrong = int(np.argmax(positions[1:] <= positions[:-1]))
            pair = f"{positions[wrong]} before {positions[wrong + 1]}"
            self._refuse("positions", "ascending, each once", pair)

    def _refuse(self, name, expected, received):
        raise ValueError(
            f"Expected `{name}` of `{self.path}` to be {expected}. Received: "
            f"{received}. Make the delta again, by `diff_pruning` or `TaskDelta.load`."
        )

    def __eq__(self, other):
        if not isinstance(other, WeightChange):
            return NotImplemented
        return self.content() == other.content()

    def __hash__(self):
        return hash(self.content())

    def content(self) -> tuple:
        """All there is, as values that can be compared and hashed."""
        arrays = (self.positions, self.values)
        raw = [None if array is None else array.tobytes() for array in arrays]
        return self.path, self.place, self.shape, self.values.dtype.name, *raw
