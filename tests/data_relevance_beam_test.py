"""The same scores from an Apache Beam pipeline, also when workers die."""

import os
import pathlib
import sys

import numpy as np
import pytest
import tensorflow as tf
from relevance_encoders import images, maps

import keras_basisprune as kbp
from keras_basisprune.data.relevance.beam.shard_files import ShardFiles

pytest.importorskip("sklearn")
PIL_Image = pytest.importorskip("PIL.Image")
HERE = pathlib.Path(__file__).resolve().parent
SOURCE, TARGET = images(50, 0), images(12, 1, 90)
COMMON = {"keep": 0.2, "batch_size": 8}


def options(mode="in_memory"):
    pipeline_options = pytest.importorskip("apache_beam.options.pipeline_options")
    words = ["--runner=DirectRunner", "--direct_num_workers=2"]
    return pipeline_options.PipelineOptions([*words, f"--direct_running_mode={mode}"])


def on_beam(source, folder, encoder=None, **given):
    given = {"options": options(), "shard_size": 13, "retries": 0, **given}
    return kbp.data.select_relevant_on_beam(
        source, TARGET, encoder or maps(), work_dir=folder, **COMMON, **given
    )


def in_memory(source, encoder=None, **given):
    return kbp.data.select_relevant(
        source, TARGET, encoder or maps(), verbose=0, **COMMON, **given
    )


@pytest.fixture
def file(tmp_path):
    np.save(tmp_path / "source.npy", SOURCE)
    return tmp_path / "source.npy"


def assert_equal(found, expected):
    np.testing.assert_allclose(found.scores, expected.scores, rtol=0, atol=1e-6)
    assert found.names == expected.names and found.skipped == expected.skipped
    assert found.indices.tolist() == expected.indices.tolist()
    assert (found.method, found.keep) == (expected.method, expected.keep)


@pytest.mark.parametrize("method", ["clusters", "domain", "random"])
def test_scores_equal_those_in_memory(file, tmp_path, method):
    found = on_beam(file, tmp_path / "work", method=method, seed=3)
    assert_equal(found, in_memory(SOURCE, method=method, seed=3))


def test_a_sample_of_a_large_source_is_drawn_in_the_same_way(
    file, tmp_path, monkeypatch
):
    from keras_basisprune.data.relevance import fit_scorer, sampled_rows

    few = lambda count, seed: sampled_rows.sampled_rows(count, seed, 9)  # noqa: E731
    monkeypatch.setattr(fit_scorer, "sampled_rows", few)
    found = on_beam(file, tmp_path / "work", method="domain", shard_size=3)
    assert_equal(found, in_memory(SOURCE, method="domain"))


def test_folders_and_archives_and_records(tmp_path):
    (tmp_path / "photos" / "a").mkdir(parents=True)
    for number in range(20):
        path = tmp_path / "photos" / "a" / f"{number:02d}.png"
        PIL_Image.fromarray(SOURCE[number]).save(path)
    for number in (5, 6, 7):  # a whole shard that can't be read
        (tmp_path / "photos" / "a" / f"{number:02d}.png").write_bytes(b"none")
    np.savez_compressed(tmp_path / "more.npz", x=SOURCE[20:40].astype("float32") / 255)
    with tf.io.TFRecordWriter(str(tmp_path / "rest.tfrecord-00000-of-00001")) as writer:
        for image in SOURCE[40:]:
            png = tf.io.encode_png(image).numpy()
            feature = tf.train.Feature(bytes_list=tf.train.BytesList(value=[png]))
            features = tf.train.Features(feature={"image": feature})
            writer.write(tf.train.Example(features=features).SerializeToString())
    folder = in_memory(tmp_path / "photos")
    assert len(folder.names) == 17
    assert_equal(on_beam(tmp_path / "photos", tmp_path / "work1", shard_size=1), folder)
    paths = ["more.npz", "rest.tfrecord-00000-of-00001"]
    found = on_beam([tmp_path / path for path in paths], tmp_path / "work2")
    assert_equal(found, in_memory(SOURCE[20:]))
    both = [tmp_path / "photos", tmp_path / "photos" / "a"]
    found = on_beam(both, tmp_path / "work3")
    np.testing.assert_array_equal(found.scores[:17], found.scores[17:])
    assert found.names[0] == f"{both[0]}/a/00.png"
    assert found.names[17] == f"{both[1]}/00.png"


def test_a_step_that_fails_is_repeated_and_counted_once(file, tmp_path, monkeypatch):
    direct = pytest.importorskip("apache_beam.runners.direct.direct_runner")
    failed = []
    for name in ("write_features", "write_scores"):
        write = getattr(ShardFiles, name)

        def flaky(self, shard, *rest, write=write, name=name):
            write(self, shard, *rest)
            if shard.number in (1, 2) and (name, shard.number) not in failed:
                failed.append((name, shard.number))
                raise OSError("the disk is gone, after the file was written")

        monkeypatch.setattr(ShardFiles, name, flaky)
    runner = direct.BundleBasedDirectRunner()
    found = on_beam(file, tmp_path / "work", runner=runner, options=None)
    assert len(failed) == 4
    assert_equal(found, in_memory(SOURCE))


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_workers_are_processes_and_one_may_die(file, tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(HERE), *sys.path]))
    monkeypatch.setenv("DIES_ONCE", str(tmp_path / "flag"))
    (tmp_path / "flag").touch()
    found = on_beam(
        file,
        tmp_path / "work",
        options=options("multi_processing"),
        imports=["dies_once"],
        retries=1,
    )
    assert not (tmp_path / "flag").exists()  # a worker has died
    assert_equal(found, in_memory(SOURCE))


def test_finished_shards_are_not_computed_again(file, tmp_path):
    first = on_beam(file, tmp_path / "work")
    files = sorted((tmp_path / "work").glob("*.features.npy"))
    assert len(files) == 4
    times = [path.stat().st_mtime_ns for path in files]
    assert on_beam(file, tmp_path / "work", method="domain") != first
    assert [path.stat().st_mtime_ns for path in files] == times
    other = images(50, 5)
    np.save(file, other)
    assert_equal(on_beam(file, tmp_path / "work"), in_memory(other))
    assert [path.stat().st_mtime_ns for path in files] != times


def test_refusals(file, tmp_path):
    options()
    for source in (SOURCE, [], [3]):
        with pytest.raises(ValueError, match="`source` to be a path, or a list"):
            on_beam(source, tmp_path / "work")
    with pytest.raises(ValueError, match="`source` to be arrays.*'nowhere'"):
        on_beam("nowhere", tmp_path / "work")
    with pytest.raises(ValueError, match="`work_dir` to leave room for a folder"):
        on_beam(file, file)
    with pytest.raises(ValueError, match="clusters=13 and 12 images"):
        on_beam(file, tmp_path / "work", clusters=13)
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a.png").write_bytes(b"none")
    with pytest.raises(Exception, match="`source` to hold at least one image"):
        on_beam(tmp_path / "photos", tmp_path / "work2")


def test_without_apache_beam(file, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "apache_beam", None)
    with pytest.raises(ImportError, match=r'pip install "keras-basisprune\[beam\]"'):
        on_beam(file, tmp_path / "work", options=None)
