"""Whether data ends: asked before it is read, and watched where it does not say."""

import itertools
import operator
import warnings

import keras

# Samples that are read of data whose length is not known: at which number that is said,
# and from which on it is taken for data without end. Some hundred are enough.
MANY, MOST = 10_000, 100_000
# Bytes of such data that are kept in memory.
_KEPT = 2**32
_INFINITE = -1  # `tf.data.INFINITE_CARDINALITY`
_ENDLESS = 2**40  # lengths above: Grain's `repeat()` has `sys.maxsize` elements


def check_ends(argument, data):
    """Raises `ValueError` if `data` is known to go on for ever.

    Asked are the `cardinality` of a `tf.data.Dataset`, the `num_batches` of a
    `keras.utils.PyDataset`, the length of whatever has one, and the class of iterators.
    Nothing is read.

    Args:
        argument: Name of the argument, for the message.
        data: Whatever a caller passed.
    """
    if not _is_endless(data):
        return
    if isinstance(data, keras.utils.PyDataset):
        remedy = "Let its `num_batches` say how many batches there are."
    else:
        remedy = f"Pass some of it, `{_some(argument, data)}`."
    raise ValueError(
        f"Expected `{argument}` to end. Received: {argument}={_kind(data)}, which goes "
        f"on for ever. {remedy}"
    )


def length(data) -> int | None:
    """The number of elements that `data` is made of; `None` if it does not say.

    Raises:
        ValueError: If a `keras.utils.PyDataset` has neither `num_batches` nor a length.
    """
    if isinstance(data, keras.utils.PyDataset):
        try:
            count = data.num_batches
            return count if count is None else operator.index(count)
        except (NotImplementedError, TypeError) as error:
            raise ValueError(
                "Expected a `keras.utils.PyDataset` to have an integer `num_batches` "
                f"or `__len__`. Received: {_kind(data)} without. Define one of them."
            ) from error
    try:
        return len(data)
    except OverflowError:
        return _ENDLESS
    except (TypeError, NotImplementedError):
        return None


class WithoutEnd(ValueError):
    """Data that does not say how much there is has not ended by now."""


class Watch:
    """Counts what is read of data that does not say how much there is.

    Args:
        argument: Name of the argument, for messages.
        data: The data.
        kept: Whether what is read stays in memory.
    """

    def __init__(self, argument, data, kept=False):
        self._argument, self._data, self._kept = argument, data, kept
        self._count = self._bytes = 0
        self._watched = length(data) is None

    def add(self, arrays):
        """Takes note of a batch.

        Raises:
            ValueError: If there were more samples by now than anybody passes.
        """
        if not self._watched:
            return
        before = self._count
        self._count += max(1, len(arrays[0]))  # empty batches may go on for ever, too
        self._bytes += sum(array.nbytes for array in arrays)
        if before < MANY <= self._count < MOST:
            warnings.warn(
                f"`{self._argument}` has given {self._count:,} samples and does not "
                f"say how many there are ({_kind(self._data)}). It is read to its end. "
                "Some hundred samples are enough.",
                stacklevel=2,
            )
        if self._count >= MOST or (self._kept and self._bytes > _KEPT):
            read = f"{self._count:,} samples ({self._bytes / 2**20:,.0f} MiB)"
            raise without_end(self._argument, self._data, read)


def without_end(argument, data, read) -> WithoutEnd:
    """The error for data that has not ended by now."""
    return WithoutEnd(
        f"Expected `{argument}` to end. Received: {argument}={_kind(data)}, which does "
        f"not say how much there is, and has not ended after {read}. Pass some of it, "
        f"`{_some(argument, data)}`. Some hundred samples are enough."
    )


def _is_endless(data) -> bool:
    if isinstance(data, keras.utils.PyDataset):
        return length(data) is None
    if isinstance(data, (itertools.cycle, itertools.count)):
        return True
    if isinstance(data, itertools.repeat):
        return operator.length_hint(data, _ENDLESS) == _ENDLESS
    return _cardinality(data) == _INFINITE or (length(data) or 0) >= _ENDLESS


def _cardinality(data) -> int | None:
    """What a `tf.data.Dataset`, distributed or not, says of its length."""
    found = getattr(data, "cardinality", None)
    if found is None or not type(data).__module__.startswith("tensorflow."):
        return None
    return int(found() if callable(found) else found)


def _some(argument, data) -> str:
    if hasattr(data, "take"):
        return f"{argument}.take(n)"
    return f"itertools.islice({argument}, n)"


def _kind(data) -> str:
    return str(type(data))
