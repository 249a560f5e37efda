import importlib.util
import os
import pathlib
import sys

import numpy as np
import pytest

from keras_basisprune.data import ImageData, load_data, select_relevant

PIL_Image = pytest.importorskip("PIL.Image")
SPLITS = ("train", "validation", "test")


def rows(images, labels):
    """One sorted row per example: equal arrays mean equal sets of examples."""
    flat = np.concatenate([images.reshape(len(images), -1), labels[:, None]], axis=1)
    return flat[np.lexsort(flat.T)]


def joined(data):
    return [np.concatenate([getattr(data, s)[i] for s in SPLITS]) for i in (0, 1)]


def write_npz(path, **arrays):
    np.savez(path, **arrays)
    return str(path)


def random_images(count, shape=(4, 5, 3), seed=0):
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (count, *shape), dtype=np.uint8)


def write_folder(root, images, labels, names=("cat", "dog"), suffix=".png"):
    for name in names:
        (root / name).mkdir(parents=True)
    for number, (image, label) in enumerate(zip(images, labels, strict=True)):
        PIL_Image.fromarray(image).save(root / names[label] / f"{number:03d}{suffix}")
    return str(root)


class TestDigits:
    def test_splits_hold_every_digit_once_and_scaled(self):
        datasets = pytest.importorskip("sklearn.datasets")
        digits = datasets.load_digits()
        data = load_data("digits", channels=1)
        images, labels = joined(data)
        expected = (digits.images * 255 / 16).astype("float32")
        np.testing.assert_array_equal(
            rows(images, labels), rows(expected, digits.target)
        )
        assert images.dtype == np.float32 and labels.dtype == np.int64
        assert data.image_shape == (8, 8, 1)
        assert data.class_names == tuple("0123456789")
        assert data.source == "digits" and "scikit-learn" in data.description
        assert repr(data) == (
            "ImageData(source='digits', train=1259, validation=269, test=269, "
            "image_shape=(8, 8, 1), classes=10)"
        )

    def test_split_counts_are_shares_of_every_class(self):
        datasets = pytest.importorskip("sklearn.datasets")
        counts = np.bincount(datasets.load_digits().target)
        data = load_data("digits", validation_split=0.1, test_split=0.2)
        test = [round(0.2 * count) for count in counts]
        validation = [round(0.1 * count) for count in counts]
        np.testing.assert_array_equal(np.bincount(data.test[1]), test)
        np.testing.assert_array_equal(np.bincount(data.validation[1]), validation)
        rest = counts - test - validation
        np.testing.assert_array_equal(np.bincount(data.train[1]), rest)

    def test_missing_scikit_learn_names_the_command(self, monkeypatch):
        monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
        with pytest.raises(
            ImportError, match=r'pip install "keras-basisprune\[demo\]"'
        ):
            load_data("digits")


class TestSplits:
    def spec(self, tmp_path, counts=(60, 30, 10)):
        labels = np.repeat(np.arange(len(counts)), counts)
        x = random_images(len(labels), (3, 3))
        return write_npz(tmp_path / "a.npz", x=x, y=labels)

    def test_same_seed_same_order_other_seed_other_images(self, tmp_path):
        spec = self.spec(tmp_path)
        first, again = load_data(spec, seed=3), load_data(spec, seed=3)
        other = load_data(spec, seed=4)
        for split in SPLITS:
            for one, two in zip(
                getattr(first, split), getattr(again, split), strict=True
            ):
                np.testing.assert_array_equal(one, two)
        assert not np.array_equal(rows(*first.test), rows(*other.test))

    def test_max_images_is_the_stratified_beginning(self, tmp_path):
        spec = self.spec(tmp_path)
        whole = load_data(spec, validation_split=0, test_split=0.2)
        part = load_data(spec, validation_split=0, test_split=0.2, max_images=8)
        np.testing.assert_array_equal(part.train[0], whole.train[0][:8])
        np.testing.assert_array_equal(part.test[0], whole.test[0][:8])
        np.testing.assert_array_equal(part.test[1], whole.test[1][:8])
        assert len(whole.train[0]) == 80 and len(whole.validation[0]) == 0
        assert sorted(whole.train[1][:3]) == [0, 1, 2]
        # 48, 24 and 8 of 80: the first ten hold six, three and one
        np.testing.assert_array_equal(np.bincount(whole.train[1][:10]), [6, 3, 1])

    def test_test_images_do_not_depend_on_validation_split(self, tmp_path):
        spec = self.spec(tmp_path)
        one, two = load_data(spec), load_data(spec, validation_split=0)
        np.testing.assert_array_equal(one.test[0], two.test[0])
        assert two.validation[0].shape == (0, 3, 3, 3)
        assert two.validation[1].shape == (0,)

    def test_what_is_missing_is_taken_from_train_alone(self, tmp_path):
        x, y = random_images(40, (3, 3)), np.arange(40) % 2
        spec = write_npz(
            tmp_path / "a.npz", x_train=x, y_train=y, x_val=x[:6] // 2, y_val=y[:6]
        )
        data = load_data(spec, channels=1, test_split=0.25)
        np.testing.assert_array_equal(
            rows(*data.validation), rows((x[:6] // 2).astype("float32"), y[:6])
        )
        both = [
            np.concatenate(pair) for pair in zip(data.train, data.test, strict=True)
        ]
        np.testing.assert_array_equal(rows(*both), rows(x.astype("float32"), y))
        np.testing.assert_array_equal(np.bincount(data.test[1]), [5, 5])

    def test_every_class_comes_into_every_split(self, tmp_path):
        data = load_data(self.spec(tmp_path, counts=(50, 3)))
        for split in SPLITS:
            assert np.bincount(getattr(data, split)[1])[1] == 1

    def test_too_few_images_of_a_class(self, tmp_path):
        with pytest.raises(ValueError, match="2 images of the class with label 1"):
            load_data(self.spec(tmp_path, counts=(50, 2)))


class TestFolder:
    def test_pixels_equal_pillow(self, tmp_path):
        images, labels = random_images(20), np.arange(20) % 2
        spec = write_folder(tmp_path / "pets", images, labels)
        (tmp_path / "pets" / ".cache").mkdir()
        (tmp_path / "pets" / "cat" / "notes.txt").write_text("no image")
        data = load_data(spec, validation_split=0.2, test_split=0.2)
        np.testing.assert_array_equal(
            rows(*joined(data)), rows(images.astype("float32"), labels)
        )
        assert data.class_names == ("cat", "dog") and data.skipped == ()
        np.testing.assert_array_equal(np.bincount(data.train[1]), [6, 6])
        assert spec in data.description

    def test_its_own_splits_are_taken(self, tmp_path):
        x, y = random_images(30), np.arange(30) % 2
        parts = {"train": slice(0, 12), "val": slice(12, 20), "test": slice(20, 30)}
        for name, part in parts.items():
            write_folder(tmp_path / name, x[part], y[part])
        data = load_data(tmp_path)
        for split, part in zip(SPLITS, parts.values(), strict=True):
            expected = rows(x[part].astype("float32"), y[part])
            np.testing.assert_array_equal(rows(*getattr(data, split)), expected)
        assert data.source == str(tmp_path)

    def test_pixel_formats(self, tmp_path):
        rgb = random_images(1)[0]
        grey = random_images(1, (4, 5))[0]
        deep = grey.astype(np.uint16) * 257
        alpha = np.concatenate([rgb, grey[..., None]], axis=-1)
        files = {
            "a": PIL_Image.fromarray(grey),
            "b": PIL_Image.fromarray(deep),
            "c": PIL_Image.fromarray(alpha),
            "d": PIL_Image.fromarray(rgb).quantize(256),
            "e": PIL_Image.fromarray(grey > 127),
        }
        for name, image in files.items():
            (tmp_path / name).mkdir()
            image.save(tmp_path / name / "1.png")
        data = load_data(tmp_path, validation_split=0, test_split=0)
        images = data.train[0][np.argsort(data.train[1])]
        repeated = np.repeat(grey[..., None], 3, axis=-1)
        expected = [repeated, repeated, rgb, rgb, np.where(repeated > 127, 255, 0)]
        np.testing.assert_array_equal(images, np.stack(expected))

    def test_exif_orientation_is_applied(self, tmp_path):
        image = random_images(1)[0]
        exif = PIL_Image.Exif()
        exif[0x0112] = 6  # to be shown turned by 90 degrees clockwise
        for name in ("a", "b"):
            (tmp_path / name).mkdir()
            PIL_Image.fromarray(image).save(tmp_path / name / "1.png", exif=exif)
        data = load_data(tmp_path, validation_split=0, test_split=0)
        np.testing.assert_array_equal(data.train[0][0], np.rot90(image, -1))

    def test_unreadable_images_are_left_out_with_a_warning(self, tmp_path):
        images, labels = random_images(20), np.arange(20) % 2
        spec = write_folder(tmp_path / "pets", images, labels)
        (tmp_path / "pets" / "cat" / "000.png").write_bytes(b"no image at all")
        whole = (tmp_path / "pets" / "dog" / "001.png").read_bytes()
        (tmp_path / "pets" / "dog" / "001.png").write_bytes(whole[:60])
        with pytest.warns(UserWarning, match="images in .* left out: 2, for example"):
            data = load_data(spec)
        np.testing.assert_array_equal(
            rows(*joined(data)), rows(images[2:].astype("float32"), labels[2:])
        )
        assert len(data.skipped) == 2
        assert any("000.png" in text for text in data.skipped)

    def test_a_class_of_unreadable_images(self, tmp_path):
        spec = write_folder(tmp_path / "pets", random_images(9), [0] * 9)
        for number in range(9):
            (tmp_path / "pets" / "dog" / f"{number}.jpg").write_bytes(b"broken")
        with pytest.raises(
            ValueError, match="no readable training image of class 'dog'"
        ):
            load_data(spec)

    def test_empty_class(self, tmp_path):
        spec = write_folder(tmp_path, random_images(9), [0] * 9)
        with pytest.raises(ValueError, match=r"no image of class 'dog' \(label 1\)"):
            load_data(spec)

    def test_one_class(self, tmp_path):
        spec = write_folder(tmp_path, random_images(9), [0] * 9, names=("cat",))
        with pytest.raises(ValueError, match="to have two or more classes.*second"):
            load_data(spec)

    def test_images_without_class_folders(self, tmp_path):
        PIL_Image.fromarray(random_images(1)[0]).save(tmp_path / "1.png")
        with pytest.raises(ValueError, match="one sub-folder of images per class"):
            load_data(tmp_path)

    def test_a_split_with_a_class_of_its_own(self, tmp_path):
        write_folder(tmp_path / "train", random_images(8), [0, 1] * 4)
        write_folder(tmp_path / "test", random_images(2), [0, 1], names=("cat", "eel"))
        with pytest.raises(ValueError, match=r"further class folders \['eel'\]"):
            load_data(tmp_path)

    def test_sizes_that_differ_need_image_size(self, tmp_path):
        write_folder(tmp_path / "a", random_images(8), [0, 1] * 4)
        odd = tmp_path / "a" / "dog" / "odd.png"
        PIL_Image.fromarray(random_images(1, (9, 7, 3))[0]).save(odd)
        with pytest.raises(ValueError, match=r"Pass image_size=\(height, width\)"):
            load_data(tmp_path / "a")
        data = load_data(tmp_path / "a", image_size=(6, 5))
        assert data.image_shape == (6, 5, 3)
        assert sum(len(getattr(data, split)[0]) for split in SPLITS) == 9

    def test_missing_pillow_names_the_command(self, tmp_path, monkeypatch):
        monkeypatch.setitem(sys.modules, "PIL.Image", None)
        with pytest.raises(ImportError, match="pip install pillow"):
            load_data(tmp_path)


class TestNpz:
    LABELS = np.arange(20) % 2

    @pytest.mark.parametrize(
        "stored",
        [
            pytest.param(lambda x: x, id="uint8"),
            pytest.param(lambda x: x.astype("int64"), id="int64"),
            pytest.param(lambda x: x.astype("float64"), id="float in [0, 255]"),
            pytest.param(lambda x: (x / 255).astype("float32"), id="float in [0, 1]"),
            pytest.param(lambda x: x.astype("uint16") * 257, id="uint16"),
        ],
    )
    def test_pixels_come_in_0_to_255(self, tmp_path, stored):
        x = random_images(20)
        x[0, 0, 0], x[1, 0, 0] = 0, 255
        spec = write_npz(tmp_path / "a.npz", x=stored(x), y=self.LABELS)
        data = load_data(spec, validation_split=0, test_split=0)
        assert data.train[0].dtype == np.float32
        np.testing.assert_allclose(
            rows(*data.train), rows(x.astype("float32"), self.LABELS), atol=1e-4
        )

    def test_columns_of_labels_and_class_names(self, tmp_path):
        spec = write_npz(
            tmp_path / "a.npz",
            x_train=random_images(20),
            y_train=self.LABELS[:, None].astype("uint8"),
            class_names=np.array(["off", "on"]),
        )
        data = load_data(spec)
        assert data.train[1].shape == (12,) and data.train[1].dtype == np.int64
        assert data.class_names == ("off", "on")

    def test_channels(self, tmp_path):
        x = random_images(20)
        spec = write_npz(tmp_path / "a.npz", x=x, y=self.LABELS)
        kwargs = {"validation_split": 0, "test_split": 0}
        colour = load_data(spec, **kwargs).train[0]
        grey = load_data(spec, channels=1, **kwargs).train[0]
        np.testing.assert_allclose(
            grey[..., 0], colour @ [0.299, 0.587, 0.114], rtol=1e-5
        )
        with pytest.raises(ValueError, match=r"`channels`=4.*shape \(4, 5, 3\)"):
            load_data(spec, channels=4)

    @pytest.mark.parametrize(
        "change, text",
        [
            ({"y": np.arange(19) % 2}, "20 images and 19 labels"),
            ({"y": np.eye(2)[np.arange(20) % 2]}, r"labels of shape \(20, 2\)"),
            ({"y": (np.arange(20) % 2).astype("float32")}, "dtype float32"),
            ({"y": np.array(["a", "b"] * 10)}, "np.unique"),
            ({"y": np.zeros(20, int)}, "to have two or more classes"),
            ({"y": np.arange(20) % 2 - 1}, "labels from -1 to 0"),
            ({"y": np.arange(20) % 2 * 2**40}, r"no image of class '1'"),
            ({"y": np.arange(20) % 2 * 2}, r"no image of class '1' \(label 1\)"),
            ({"x": np.zeros((20, 4))}, r"shape \(20, 4\), dtype float64"),
            ({"x": np.full((20, 4, 4), -3.0)}, "pixels from -3.0 to -3.0"),
            ({"x": np.zeros((0, 4, 4)), "y": np.zeros(0, int)}, r"shape \(0, 4, 4\)"),
            ({"x": np.array([None] * 20)}, "plain arrays"),
            ({"x_test": np.zeros((2, 4, 4))}, "to hold `y_test` beside `x_test`"),
        ],
    )
    def test_what_does_not_fit_is_named(self, tmp_path, change, text):
        arrays = {"x": random_images(20), "y": self.LABELS} | change
        spec = write_npz(tmp_path / "a.npz", **arrays)
        with pytest.raises(ValueError, match=text) as caught:
            load_data(spec)
        assert "of `spec`" in str(caught.value)
        assert f"Received: spec='{spec}'" in str(caught.value)

    def test_nan_names_the_image(self, tmp_path):
        x = random_images(20).astype("float32")
        x[7, 1, 2] = np.nan
        spec = write_npz(tmp_path / "a.npz", x=x, y=self.LABELS)
        with pytest.raises(ValueError, match="finite pixels in `x`.*in image 7"):
            load_data(spec)

    def test_unknown_label_in_a_later_split(self, tmp_path):
        x = random_images(20)
        arrays = {"x_train": x, "y_train": self.LABELS, "x_test": x[:1], "y_test": [2]}
        with pytest.raises(ValueError, match=r"test split.*in \[0, 1\].*from 2 to 2"):
            load_data(write_npz(tmp_path / "a.npz", **arrays))

    def test_missing_keys_and_damaged_files(self, tmp_path):
        spec = write_npz(tmp_path / "a.npz", images=random_images(2))
        with pytest.raises(ValueError, match=r"`x_train`.*keys \['images'\]"):
            load_data(spec)
        whole = pathlib.Path(spec).read_bytes()
        pathlib.Path(spec).write_bytes(whole[: len(whole) // 2])
        with pytest.raises(ValueError, match="readable .npz file"):
            load_data(spec)


class TestResize:
    def test_bilinear_by_hand(self, tmp_path):
        x = np.zeros((4, 1, 2), np.uint8)
        x[:, 0, 1] = 100
        spec = write_npz(tmp_path / "a.npz", x=x, y=[0, 1, 0, 1])
        kwargs = {"channels": 1, "validation_split": 0, "test_split": 0}
        wide = load_data(spec, image_size=(1, 4), **kwargs).train[0]
        np.testing.assert_array_equal(wide[0, 0, :, 0], [0, 25, 75, 100])
        small = load_data(spec, image_size=1, **kwargs).train[0]
        np.testing.assert_array_equal(small[0, 0, 0], [50])

    @pytest.mark.parametrize("dtype, atol", [("uint8", 0), ("float32", 1.01)])
    def test_antialiased_as_in_pillow(self, tmp_path, dtype, atol):
        x = random_images(4, (16, 12, 3))
        spec = write_npz(tmp_path / "a.npz", x=x.astype(dtype), y=[0, 1, 2, 3])
        data = load_data(spec, image_size=(6, 5), validation_split=0, test_split=0)
        assert data.image_shape == (6, 5, 3)
        for image, label in zip(*data.train, strict=True):
            whole = PIL_Image.fromarray(x[label])
            expected = np.asarray(whole.resize((5, 6), PIL_Image.Resampling.BILINEAR))
            # Pillow rounds 8-bit images twice, once per direction
            np.testing.assert_allclose(image, expected, rtol=0, atol=atol)

    def test_constant_images_stay_constant(self, tmp_path):
        x = np.full((4, 7, 9, 5), 255, np.uint8)
        spec = write_npz(tmp_path / "a.npz", x=x, y=[0, 1, 0, 1])
        data = load_data(
            spec, image_size=4, channels=5, validation_split=0, test_split=0
        )
        np.testing.assert_array_equal(data.train[0], np.full((4, 4, 4, 5), 255))


class TestArguments:
    @pytest.mark.parametrize(
        "kwargs, text",
        [
            ({"spec": "mnist"}, r"`spec`.*'tfds:NAME'.*spec='mnist'.*path"),
            ({"spec": "tfds:"}, "spec='tfds:'"),
            ({"spec": None}, "spec=None"),
            ({"image_size": 0}, r"`image_size`.*image_size=0"),
            ({"image_size": (3, 4, 5)}, r"image_size=\(3, 4, 5\)"),
            ({"image_size": "32"}, "image_size='32'"),
            ({"channels": 0}, r"`channels` to be an integer in \[1, 1024\]"),
            ({"seed": -1}, "`seed` to be an integer >= 0"),
            ({"seed": 0.5}, "seed=0.5"),
            ({"validation_split": 1}, r"`validation_split` to be a float in \[0, 1\)"),
            ({"test_split": "a"}, "test_split='a'"),
            ({"validation_split": 0.5, "test_split": 0.5}, r"less than 1.*0.5 \+ 0.5"),
            ({"max_images": 1}, "`max_images` to be an integer >= 2"),
            ({"max_images": True}, "max_images=True"),
        ],
    )
    def test_errors_name_the_argument(self, tmp_path, kwargs, text):
        x, y = random_images(20), np.arange(20) % 2
        spec = write_npz(tmp_path / "a.npz", x=x, y=y)
        with pytest.raises(ValueError, match=text):
            load_data(**({"spec": spec} | kwargs))


@pytest.fixture(scope="module")
def tfds_folder(tmp_path_factory):
    """A prepared data set as another machine would have written it."""
    tfds = pytest.importorskip("tensorflow_datasets")
    root = tmp_path_factory.mktemp("tfds")
    home = root / "tiny_images" / "1.0.0"
    home.mkdir(parents=True)
    identity = tfds.core.DatasetIdentity(
        name="tiny_images", version="1.0.0", data_dir=str(home), module_name=""
    )
    features = tfds.features.FeaturesDict(
        {
            "image": tfds.features.Image(shape=(4, 5, 3), encoding_format="png"),
            "label": tfds.features.ClassLabel(names=["cat", "dog"]),
        }
    )
    info = tfds.core.DatasetInfo(
        builder=identity,
        features=features,
        supervised_keys=("image", "label"),
        license="CC0",
    )
    writer = tfds.core.SequentialWriter(info, max_examples_per_shard=100)
    counts = {"train": 20, "validation": 4, "test": 6}
    writer.initialize_splits(list(counts))
    for split, count in counts.items():
        examples = [
            {"image": image, "label": -1 if split == "test" else number % 2}
            for number, image in enumerate(random_images(count, seed=count))
        ]
        writer.add_examples({split: examples})
    writer.close_all()
    return str(root)


class TestTfds:
    def test_scores_of_its_training_images(self, tfds_folder, monkeypatch):
        pytest.importorskip("sklearn")
        import tensorflow_datasets as tfds
        from relevance_encoders import maps

        monkeypatch.setenv("TFDS_DATA_DIR", tfds_folder)
        images, target = random_images(20, seed=20), random_images(5, seed=1)
        builder = tfds.builder("tiny_images", data_dir=tfds_folder)
        found = [
            select_relevant(source, target, maps(), keep=0.5, verbose=0).scores
            for source in (images, "tfds:tiny_images", builder)
        ]
        np.testing.assert_allclose(found[1], found[0], atol=1e-6)
        np.testing.assert_allclose(found[2], found[0], atol=1e-6)

    def test_prepared_data_set(self, tfds_folder, monkeypatch):
        monkeypatch.setenv("TFDS_DATA_DIR", tfds_folder)
        data = load_data("tfds:tiny_images", test_split=0.2)
        expected = random_images(4, seed=4).astype("float32")
        np.testing.assert_array_equal(
            rows(*data.validation), rows(expected, np.arange(4) % 2)
        )
        both = [
            np.concatenate(pair) for pair in zip(data.train, data.test, strict=True)
        ]
        expected = random_images(20, seed=20).astype("float32")
        np.testing.assert_array_equal(rows(*both), rows(expected, np.arange(20) % 2))
        assert len(data.test[1]) == 4  # the stored ones have hidden labels
        assert data.class_names == ("cat", "dog")
        assert data.description == "tiny_images/1.0.0 of TensorFlow Datasets; CC0"

    def test_unknown_name_lists_close_ones(self):
        pytest.importorskip("tensorflow_datasets")
        with pytest.raises(ValueError, match="spec='tfds:mnits'.*'mnist'"):
            load_data("tfds:mnits")

    def test_data_set_without_class_labels(self):
        pytest.importorskip("tensorflow_datasets")
        with pytest.raises(ValueError, match="of 8 or 16 bits.*features label, text"):
            load_data("tfds:imdb_reviews")

    @pytest.mark.skipif(
        not importlib.util.find_spec("importlib_resources"),
        reason="tensorflow-datasets downloads nothing without importlib_resources",
    )
    def test_no_network_says_what_to_do(self, tmp_path, monkeypatch):
        pytest.importorskip("tensorflow_datasets")
        for name in ("no_proxy", "NO_PROXY"):
            monkeypatch.delenv(name, raising=False)
        for name in ("http_proxy", "https_proxy", "all_proxy"):
            monkeypatch.setenv(name, "http://127.0.0.1:9")  # nobody listens there
        monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path))
        with pytest.raises(OSError) as caught:
            load_data("tfds:mnist")
        text = str(caught.value)
        assert f"It is not in '{tmp_path}{os.sep}mnist" in text
        assert "no answer from 127.0.0.1:9" in text
        assert "tfds.builder('mnist').download_and_prepare()" in text
        assert "set TFDS_DATA_DIR" in text and ".npz" in text
        assert not os.listdir(tmp_path)

    def test_missing_package_names_the_command(self, monkeypatch):
        monkeypatch.setitem(sys.modules, "tensorflow_datasets", None)
        with pytest.raises(
            ImportError, match=r'pip install "keras-basisprune\[tfds\]"'
        ):
            load_data("tfds:mnist")


def test_the_record_is_frozen(tmp_path):
    x, y = random_images(20), np.arange(20) % 2
    data = load_data(write_npz(tmp_path / "a.npz", x=x, y=y))
    assert isinstance(data, ImageData)
    with pytest.raises(AttributeError, match="cannot assign"):
        data.train = None
