"""Checks how many networks a search shall try at once."""

from keras_basisprune.utils.check_whole import check_whole
from keras_basisprune.utils.processes import process_count

_MOST = 256


def check_workers(workers, goal):
    """Raises `ValueError` unless `workers` is a number of processes that can be used.

    Args:
        workers: As in `compress`.
        goal: The `Objective` of the search.
    """
    remedy = "1 tries one network after the other."
    check_whole("workers", workers, 1, _MOST, remedy)
    if workers > 1 and process_count() > 1:
        raise ValueError(
            f"Expected `workers` to be 1 where {process_count()} processes search "
            f"together. Received: workers={workers}. Leave it out."
        )
    if workers > 1 and goal.kind == "latency":
        raise ValueError(
            "Expected `workers` to be 1 for cost='latency', since networks that run at "
            f"the same time slow each other down. Received: workers={workers}. Leave "
            "it out."
        )
