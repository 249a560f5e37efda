"""Rejects data without end: by its length, or by counting if that is unknown."""

import itertools
import operator
import warnings

import keras

# Samples read from data of unknown length: when to warn, and when to conclude that it
# never ends. A few hundred would be enough.
MANY, MOST = 10_000, 100_000
# The most bytes of such data to keep in memory.
_KEPT = 2**32
_ENOUGH = "Some hundred samples are enough."
_INFINITE = -1  # `tf.data.INFINITE_CARDINALITY`
_ENDLESS = 2**40  # counts as endless: Grain's `repeat()` has `sys.maxsize` elements


def check_ends(argument, data):
    """Raises `ValueError` if `data` is known to be endless.

    Looks at the `cardinality` of a `tf.data.Dataset`, the `num_batches` of a
    `keras.utils.PyDataset`, the length of any object that has one, and the class of
    iterators. Nothing is read.

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
    """Returns the number of elements of `data`; `None` if it is unknown.

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


class EndlessData(ValueError):
    """Data of unknown length has exceeded the limit."""


class SampleCounter:
    """Counts the samples read from data of unknown length.

    Args:
        argument: Name of the argument, for messages.
        data: The data.
        kept: Whether the caller keeps all samples in memory.
        all_used: Whether more samples are better, so that only memory limits them.
    """

    def __init__(self, argument, data, kept=False, all_used=False):
        self._argument, self._data, self._kept = argument, data, kept
        self._all_used = all_used
        self._count = self._bytes = 0
        self._unknown_length = length(data) is None

    def add(self, arrays):
        """Counts a batch.

        Raises:
            ValueError: If more samples were read than any caller would pass.
        """
        if not self._unknown_length:
            return
        before = self._count
        self._count += max(1, len(arrays[0]))  # empty batches may go on for ever, too
        self._bytes += sum(array.nbytes for array in arrays)
        if before < MANY <= self._count < MOST and not self._all_used:
            warnings.warn(
                f"`{self._argument}` has given {self._count:,} samples and does not "
                f"say how many there are ({_kind(self._data)}). It is read to its end. "
                "Some hundred samples are enough.",
                stacklevel=2,
            )
        most = 1000 * MOST if self._all_used else MOST  # of no bytes, too
        if self._count >= most or (self._kept and self._bytes > _KEPT):
            read = f"{self._count:,} samples ({self._bytes / 2**20:,.0f} MiB)"
            advice = "" if self._all_used else _ENOUGH
            raise endless_error(self._argument, self._data, read, advice)


def endless_error(argument, data, read, advice=_ENOUGH) -> EndlessData:
    """Returns the error for data that has exceeded the limit."""
    return EndlessData(
        f"Expected `{argument}` to end. Received: {argument}={_kind(data)}, which does "
        f"not say how much there is, and has not ended after {read}. Pass some of it, "
        f"`{_some(argument, data)}`. {advice}".rstrip()
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
    """Returns the cardinality of a (distributed) `tf.data.Dataset`, or `None`."""
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
