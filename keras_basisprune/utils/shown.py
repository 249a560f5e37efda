"""Short texts for values, in error messages."""

import numbers

_MOST = 80  # characters


def described(data) -> str:
    """Returns a short text with the shapes of all arrays in a structure."""
    if isinstance(data, tuple | list) and len(data) <= 4:
        ends = "()" if isinstance(data, tuple) else "[]"
        return f"{ends[0]}{', '.join(map(described, data))}{ends[1]}"
    return shown(data)


def dtype_name(value) -> str:
    """Returns the name of an array's dtype on any backend; empty without one."""
    dtype = getattr(value, "dtype", "")
    return str(getattr(dtype, "name", dtype)).removeprefix("torch.")


def shown(value) -> str:
    """Returns a short text for a value: itself, or its shape, and its type."""
    shape, dtype = getattr(value, "shape", None), getattr(value, "dtype", None)
    if shape is not None and dtype is not None and not isinstance(value, numbers.Real):
        return f"an array of shape {tuple(shape)}, dtype {dtype_name(value)}"
    text = repr(value)
    if len(text) > _MOST:
        text = f"{text[:_MOST]}..."
    if value is None or isinstance(value, bool | str | numbers.Real):
        return text
    return f"{text} (of type {type(value).__name__})"
