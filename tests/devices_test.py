"""Several devices and processes give what one device gives; the first process writes.

Eight virtual devices and two real processes, on JAX, in processes of their own.
"""

import json
import os
import socket
import subprocess
import sys

import pytest
from other_backend import HERE, run_on, skip_without

TOLERANCE = 2e-5  # Adam divides by small numbers, which rounding changes


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The folder with what one device gave, and eight devices of one process."""
    folder = tmp_path_factory.mktemp("devices")
    run_on("jax", "device_steps.py", "all", folder / "eight.json", devices=8)
    return folder


@pytest.fixture(scope="module")
def eight(whole):
    return json.loads((whole / "eight.json").read_text(encoding="utf-8"))


def test_eight_devices_give_what_one_gives(eight):
    assert eight["devices"] == eight["places"] == 8
    assert len(eight["many"]) == 7
    assert max(eight["many"].values()) <= TOLERANCE, eight["many"]


def test_layouts_that_do_not_fit_a_pruned_network(eight):
    assert "model" in eight["spec"]
    assert eight["model parallel"] <= TOLERANCE


def test_batches_that_devices_cannot_share(eight):
    assert "`config.batch_size` to be a number of samples that 8" in eight["odd batch"]
    assert "Pass a multiple of 8, such as 32." in eight["odd batch"]
    assert "a model that is bound to batches of 4" in eight["bound"]


def test_mirrored_strategy_gives_what_one_device_gives(tmp_path):
    run_on("tensorflow", "strategy_steps.py", tmp_path / "found.json")
    found = json.loads((tmp_path / "found.json").read_text(encoding="utf-8"))
    assert found["replicas"] == 2
    assert len(found["many"]) == 4
    assert max(found["many"].values()) <= TOLERANCE, found["many"]
    assert "strategy of one machine" in found["workers"]
    assert "CollectiveAllReduceStrategy" in found["workers"]
    assert "`keras.distribution` to be used on the JAX backend" in found["backend"]


def start(folder, *words):
    """Starts two processes, in folders of their own; returns both."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    processes = []
    for number in range(2):
        own = folder / f"process_{number}"
        own.mkdir(exist_ok=True)
        first, *rest = words
        processes.append(
            subprocess.Popen(
                [sys.executable, str(HERE / "device_steps.py")]
                + [first, str(port), str(number), *map(str, rest)],
                cwd=own,
                stderr=subprocess.PIPE,
                text=True,
                env={
                    **os.environ,
                    "KERAS_BACKEND": "jax",
                    "PYTHONPATH": os.pathsep.join((str(HERE), str(HERE.parent))),
                    "XLA_FLAGS": "--xla_backend_optimization_level=0",
                },
            )
        )
    return processes


@pytest.fixture(scope="module")
def two(whole):
    """What two processes found, of which one was killed before."""
    skip_without("jax")
    first, second = start(whole, "kill")
    second.communicate()
    first.kill()  # it waits for the other, until JAX ends it after 100 seconds
    first.communicate()
    assert second.returncode == 9
    assert (whole / "backup" / "training_metadata.json").exists()
    processes = start(whole, "again", whole / "eight.npz")
    for process in processes:
        _, text = process.communicate()
        assert process.returncode == 0, text[-3000:]
    return [
        json.loads((whole / f"process_{n}" / "found.json").read_text()) for n in (0, 1)
    ]


def test_two_processes_continue_where_one_was_killed(two):
    assert max(found["recover"] for found in two) <= TOLERANCE


def test_two_processes_search_alike(two):
    assert max(found["kept"] for found in two) <= TOLERANCE


def test_only_the_first_process_writes(two, whole):
    names = {path.name for path in (whole / "process_0").iterdir()}
    assert names == {"found.json", "log.csv", "bases.png", "out"}
    assert [path.name for path in (whole / "process_1").iterdir()] == ["found.json"]
    found = {path.name for path in (whole / "process_0" / "out").iterdir()}
    assert {"small.keras", "report.json", "report.html", "state"} <= found
    assert not (whole / "backup").exists()


def test_processes_that_differ_are_named_at_the_start(two):
    for found in two:
        assert "all processes to have the same train" in found["other data"]
        assert "another one in process 1 than in process 0" in found["other data"]
        assert "2 processes search together" in found["latency"]
