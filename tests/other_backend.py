"""Runs a script of the tests on another backend of Keras, in a process of its own."""

import importlib.util
import os
import pathlib
import subprocess
import sys

import pytest

HERE = pathlib.Path(__file__).resolve().parent


def skip_without(backend):
    """Skips the test where a backend isn't installed."""
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"`{backend}` is not installed")


def run_on(backend, script, *words, devices=1) -> subprocess.CompletedProcess:
    """Runs `script` of this folder; skips the test where the backend isn't installed.

    Args:
        backend: `"tensorflow"`, `"jax"` or `"torch"`.
        script: Name of the file.
        *words: What follows on the command line.
        devices: Integer, virtual devices that JAX makes of the CPU.

    Returns:
        The process, which has ended well, with its output as text.
    """
    skip_without(backend)
    environment = {
        **os.environ,
        "KERAS_BACKEND": backend,
        "PYTHONPATH": os.pathsep.join((str(HERE), str(HERE.parent))),
        # Half the time: nothing here runs long enough to be worth optimizing.
        "XLA_FLAGS": "--xla_backend_optimization_level=0 "
        f"--xla_force_host_platform_device_count={devices}",
    }
    done = subprocess.run(
        [sys.executable, str(HERE / script), *map(str, words)],
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done
