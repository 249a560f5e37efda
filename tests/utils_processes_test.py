"""One process is the first; shares of a batch; folders of a process's own.

Two real processes: `devices_test.py`.
"""

import keras
import numpy as np
import pytest

from keras_basisprune.data.batching.shared_batches import SharedBatches
from keras_basisprune.data.batching.shares import check_shares, shared_rows, shares
from keras_basisprune.utils import processes
from keras_basisprune.utils.temporary_folder import TemporaryFolder, is_temporary


def test_one_process_is_the_first():
    assert processes.process_count() == 1
    assert processes.is_first_process()
    assert processes.from_first(lambda: 3) == 3
    processes.check_same(data=object())
    with pytest.raises(KeyError):
        processes.from_first(dict().popitem)


def test_temporary_folders_are_known_while_they_exist(tmp_path):
    with TemporaryFolder() as folder:
        assert is_temporary(f"{folder}/a/b.txt")
        assert not is_temporary(tmp_path / "b.txt")
    assert not is_temporary(f"{folder}/a/b.txt")


@pytest.mark.parametrize(
    ("count", "parts", "repeated"), [(8, 8, 1), (6, 8, 4), (1, 8, 8), (12, 8, 2)]
)
def test_rows_are_repeated_as_a_whole(count, parts, repeated):
    rows = shared_rows(count, parts)
    assert len(rows) % parts == 0
    assert np.bincount(rows).tolist() == [repeated] * count


class Batches(keras.utils.PyDataset):
    num_batches = 2

    def __getitem__(self, index):
        count = (4, 3)[index]
        return {"a": np.arange(count)}, np.arange(count) * 10.0, None


def test_batches_keep_their_structure():
    shared = SharedBatches(Batches(), 2)
    assert shared.num_batches == 2
    inputs, targets, weights = shared[1]
    assert inputs["a"].tolist() == [0, 1, 2, 0, 1, 2]
    assert targets.tolist() == [0.0, 10.0, 20.0] * 2
    assert weights is None


def test_what_devices_can_share():
    assert shares() == 1
    check_shares("batch_size", 7)
    check_shares("batch_size", 7, fixed=4, parts=2)
    with pytest.raises(ValueError, match="`batch_size` .* Pass a multiple of 2"):
        check_shares("batch_size", 7, parts=2)
    with pytest.raises(ValueError, match="`model` to take batches that 3 devices"):
        check_shares("batch_size", 6, fixed=4, parts=3)
