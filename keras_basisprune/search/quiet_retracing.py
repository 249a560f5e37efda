"""TensorFlow without its warnings about retracing."""

import contextlib
import logging


@contextlib.contextmanager
def quiet_retracing():
    """Leaves out TensorFlow's warnings about retracing, as a context.

    TensorFlow warns when a function is traced often. In a search that is no mistake:
    every trace is of another network.
    """
    logger = logging.getLogger("tensorflow")

    def wanted(record):
        return "retracing" not in record.getMessage()

    logger.addFilter(wanted)
    try:
        yield
    finally:
        logger.removeFilter(wanted)
