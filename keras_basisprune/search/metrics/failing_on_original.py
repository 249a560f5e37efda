"""Errors of a metric on the original."""

import contextlib


@contextlib.contextmanager
def failing_on_original(metric, first=True):
    """Says which metric it was that has failed, as a context.

    Args:
        metric: A `Measure` or `CustomMetric`.
        first: Whether the original is judged; errors of others are left as they are.

    Raises:
        ValueError: In place of any error.
    """
    try:
        yield
    except Exception as error:  # of any kind: it may be the user's own function
        if not first:
            raise
        raise ValueError(
            "Expected `metric` to give a number for the original. Received: "
            f"{type(error).__name__} from {metric.text}: {str(error)[:300]}. "
            "Check it with the model and data that are passed."
        ) from error
