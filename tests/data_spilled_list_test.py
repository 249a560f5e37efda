"""Lists of arrays that go to disk beyond some memory, and leave nothing there."""

import gc
import os
import pathlib

import keras
import numpy as np
import pytest

import keras_basisprune as kbp
from keras_basisprune.data.kept_batches import KeptBatches
from keras_basisprune.data.spilled_list import SpilledList
from keras_basisprune.data.spilling import current_spill

ARRAYS = [
    np.random.default_rng(0).standard_normal((5, 4)).astype("float32"),
    np.arange(6, dtype="int64").reshape(3, 2),
    np.array(7.5),
    np.zeros((0, 3), "float32"),
    np.random.default_rng(1).standard_normal((4, 5)).T,
    np.array([True, False]),
    np.ones((2, 2), keras.ops.convert_to_numpy(keras.ops.ones(1, "bfloat16")).dtype),
]


def filled(arrays=ARRAYS):
    found = SpilledList()
    for array in arrays:
        found.append(array)
    return found


def check(found, arrays=ARRAYS):
    assert found.shapes == [array.shape for array in arrays]
    for one, array in zip(found, arrays, strict=True):
        np.testing.assert_array_equal(one, array)
        assert one.dtype == array.dtype


@pytest.mark.parametrize("memory", [0, 100, 2**20])
def test_arrays_come_back_from_memory_and_from_disk(memory):
    with kbp.data.spilling(memory=memory):
        spill, total = current_spill(), sum(array.nbytes for array in ARRAYS)
        found = filled()
        assert spill.in_memory <= memory
        assert spill.in_memory + spill.on_disk == total
        assert (spill.on_disk == 0) == (memory > total)
        check(found)
        np.testing.assert_array_equal(found[-3], ARRAYS[-3])
        both = found + filled(ARRAYS[:2])
        del found
        gc.collect()
        check(both, [*ARRAYS, *ARRAYS[:2]])  # what it needs is still there
        del both
        gc.collect()
        assert (spill.in_memory, spill.on_disk) == (0, 0)


def test_texts_stay_in_memory():
    texts = np.array(["a", "bc"], object)
    with kbp.data.spilling(memory=0):
        check(filled([texts]), [texts])
        assert current_spill().on_disk == 0


def test_files_have_no_name(tmp_path):
    with kbp.data.spilling(memory=0, folder=tmp_path):
        found = filled()
        assert not os.listdir(tmp_path)  # whatever happens now, nothing will remain
        check(found)
        opened = open_files(tmp_path)
        assert opened == 1
        del found
        assert open_files(tmp_path) == 0


def open_files(folder):
    links = []
    for entry in pathlib.Path("/proc/self/fd").iterdir():
        try:
            links.append(os.readlink(entry))
        except OSError:
            continue
    return sum(str(folder) in link for link in links)


def test_arrays_that_are_there_anyway_do_not_count():
    images = np.zeros((8, 3), "float32")
    with kbp.data.spilling(memory=0):
        found = SpilledList([images[:4], images[4:]])
        assert all(np.shares_memory(images, part) for part in found)
        assert current_spill().on_disk == 0


def test_no_more_than_may_be_on_disk():
    with kbp.data.spilling(memory=0, disk=100):
        found = filled(ARRAYS[:1])  # 80 bytes
        with pytest.raises(ValueError, match="into `disk`. Received: disk=100.* 80 .*"):
            found.append(ARRAYS[1])
        check(found, ARRAYS[:1])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"memory": -1}, "Expected `memory` to be a number >= 0. Received: memory=-1"),
        ({"disk": "1GiB"}, "Expected `disk` to be None or a number"),
        ({"folder": "/no/such"}, "Expected `folder` to be a folder. .*'/no/such'"),
    ],
)
def test_bad_options(options, message):
    before = current_spill()
    with pytest.raises(ValueError, match=message), kbp.data.spilling(**options):
        pass
    assert current_spill() is before


@pytest.fixture(scope="module")
def model():
    inputs = keras.Input((4, 4, 3))
    return keras.Model(inputs, keras.layers.GlobalAveragePooling2D()(inputs))


class Stream(keras.utils.PyDataset):
    """Batches with labels; another epoch would be another one."""

    def __init__(self, images):
        super().__init__()
        self.images, self.epochs = images, 0

    def __len__(self):
        return -(-len(self.images) // 4)

    def __getitem__(self, index):
        part = self.images[4 * index : 4 * index + 4] + self.epochs
        return part, np.zeros(len(part))

    def on_epoch_begin(self):
        self.epochs += 1


def test_streams_are_read_once_and_arrays_are_not_copied(model):
    images = np.random.default_rng(0).random((10, 4, 4, 3), "float32")
    with kbp.data.spilling(memory=0):
        kept = KeptBatches.of(model, images, 4)
        assert all(np.shares_memory(images, batch[0]) for batch in kept)
        assert current_spill().on_disk == 0
        for data in (Stream(images - 1), iter([images[:4], images[4:]])):
            read = KeptBatches.of(model, data, 4)
            assert read.sizes == kept.sizes == [4, 4, 2]
            for _ in range(2):
                for one, other in zip(read, kept, strict=True):
                    np.testing.assert_allclose(one[0], other[0], rtol=1e-6)
            assert current_spill().on_disk == images.nbytes
            twice = read + kept
            assert twice.sizes == [4, 4, 2] * 2
            np.testing.assert_array_equal(twice[4][0], kept[1][0])
            del read, twice
