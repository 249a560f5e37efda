"""What `devices_test.py` does under `tf.distribute`, in a process of its own.

KERAS_BACKEND=tensorflow python tests/strategy_steps.py FILE
"""

import functools
import json
import pathlib
import sys

import device_steps
import keras
import tensorflow as tf
from device_steps import EVEN, difference, error

# Replicas have BatchNormalization of their own, unless `synchronized` is set.
device_steps.NORM = False
STEPS = {
    # Keras draws the order of arrays in another way if it can't divide their batches.
    "scales": functools.partial(device_steps.trained_scales, EVEN),
    "recover": device_steps.recovered,
    "statistics": device_steps.statistics,
    "scores": device_steps.scores,
}


def main(path):
    (cpu,) = tf.config.list_physical_devices("CPU")
    halves = [tf.config.LogicalDeviceConfiguration()] * 2
    tf.config.set_logical_device_configuration(cpu, halves)
    strategy, found = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"]), {"many": {}}
    for name, step in STEPS.items():
        one = step()
        with strategy.scope():
            found["many"][name] = difference(one, step())
    found["replicas"] = strategy.num_replicas_in_sync
    with tf.distribute.MultiWorkerMirroredStrategy().scope():
        found["workers"] = error(device_steps.recovered)
    devices = keras.distribution.DataParallel(devices=["cpu:0", "cpu:1"])
    with devices.scope():
        found["backend"] = error(device_steps.recovered)
    pathlib.Path(path).write_text(json.dumps(found), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
