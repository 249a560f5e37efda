"""TensorFlow without its warnings of many traces."""

import contextlib
import logging


@contextlib.contextmanager
def quiet_retracing():
    """TensorFlow warns of many traces; here they are of many networks."""
    logger = logging.getLogger("tensorflow")

    def wanted(record):
        return "retracing" not in record.getMessage()

    logger.addFilter(wanted)
    try:
        yield
    finally:
        logger.removeFilter(wanted)
