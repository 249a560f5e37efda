"""What layers make in a network that several others are cut from."""

import contextlib
import contextvars

_CURRENT: contextvars.ContextVar["RememberedValues | None"] = contextvars.ContextVar(
    "remembered_values", default=None
)


class RememberedValues:
    """Values of one network on the same data, computed once for many fits.

    What the layers of the original make does not depend on how much is cut. While a
    `with` block of this object is entered, `remembered` computes it once; outside of
    any, every time. It is dropped with the object. The weights of the network must not
    change.

    Args:
        model: The network. Values of others are not kept.
        data: The samples. The same object must give the same samples again.
    """

    def __init__(self, model, data):
        self._model, self._data = model, data
        self._known: dict = {}

    @contextlib.contextmanager
    def __call__(self):
        """Enters a block in which values are remembered."""
        token = _CURRENT.set(self)
        try:
            yield
        finally:
            _CURRENT.reset(token)

    def find(self, model, data, key, make):
        """Returns what `make` returned for this key, if it is about this network."""
        if model is not self._model or data is not self._data:
            return make()
        if key not in self._known:
            self._known[key] = make()
        return self._known[key]


def remembered(model, data, key, make):
    """Returns `make()`, or what it returned before.

    Args:
        model: The network whose values are computed.
        data: The samples that they are computed on, as the caller got them.
        key: What is computed, a hashable object.
        make: A function without arguments.
    """
    current = _CURRENT.get()
    return make() if current is None else current.find(model, data, key, make)
