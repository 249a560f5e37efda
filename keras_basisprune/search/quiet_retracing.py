"""Silences TensorFlow's warnings about retracing."""

import contextlib
import logging


@contextlib.contextmanager
def quiet_retracing():
    """Silences TensorFlow's warnings about retracing, as a context.

    TensorFlow warns when a function is traced often. In a search this is expected,
    since every trace belongs to a different network.
    """
    logger = logging.getLogger("tensorflow")

    def wanted(record):
        return "retracing" not in record.getMessage()

    logger.addFilter(wanted)
    try:
        yield
    finally:
        logger.removeFilter(wanted)
