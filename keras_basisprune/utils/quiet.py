"""Silences the logs of TensorFlow, its converter, and LiteRT."""

import contextlib
import logging
import os
import tempfile
import warnings


@contextlib.contextmanager
def quiet():
    """Drops warnings and the log lines that C++ code writes to standard error.

    The converter and the interpreter log through C++, bypassing `sys.stderr`, so the
    file descriptor itself is redirected. Errors are not lost: they are raised as
    exceptions. Set the environment variable `TF_CPP_MIN_LOG_LEVEL=0` to see everything.
    """
    if os.environ.get("TF_CPP_MIN_LOG_LEVEL") == "0":
        yield
        return
    loggers = [logging.getLogger(name) for name in ("tensorflow", "absl")]
    levels = [logger.level for logger in loggers]
    with warnings.catch_warnings(), _no_stderr():
        warnings.simplefilter("ignore")
        try:
            for logger in loggers:
                logger.setLevel(logging.ERROR)
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)


@contextlib.contextmanager
def _no_stderr():
    """Points file descriptor 2 to a temporary file; does nothing if 2 is closed."""
    try:
        kept = os.dup(2)
    except OSError:
        yield
        return
    try:
        with tempfile.TemporaryFile() as sink:
            os.dup2(sink.fileno(), 2)
            try:
                yield
            finally:
                os.dup2(kept, 2)
    finally:
        os.close(kept)
