"""The commands diff and apply, as a user would call them."""

import keras
import numpy as np
import pytest
from command_lines import run

import keras_basisprune as kbp


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with a base of four classes, and an archive of three."""
    folder = tmp_path_factory.mktemp("diff")
    keras.utils.set_random_seed(0)
    x = inputs = keras.Input((8, 8, 1))
    x = keras.layers.Conv2D(8, 3, name="conv")(keras.layers.Rescaling(1 / 255)(x))
    x = keras.layers.Flatten()(keras.layers.BatchNormalization(name="norm")(x))
    head = keras.layers.Dense(4, activation="softmax", name="head")
    keras.Model(inputs, head(x)).save(folder / "base.keras")
    y = np.arange(60) % 3
    images = np.random.default_rng(0).uniform(0, 60, (60, 8, 8)) + 90 * y[:, None, None]
    parts = {"x_train": images[:30], "x_val": images[30:45], "x_test": images[45:]}
    labels = {"y_train": y[:30], "y_val": y[30:45], "y_test": y[45:]}
    names = np.array(["dark", "grey", "light"])
    arrays = {key: value.astype("uint8") for key, value in parts.items()}
    np.savez(folder / "data.npz", **arrays, **labels, class_names=names)
    return folder


def test_a_task_goes_into_a_file_and_comes_out_as_a_network(place, capsys):
    base, data = f"--model={place}/base.keras", f"--data={place}/data.npz"
    words = (base, data, "--share=0.1", "--epochs=2", "--learning_rate=0.01")
    code, out, err = run(
        capsys, "diff", *words, "--batch_size=10", f"--output={place}/task.npz"
    )
    assert (code, err) == (0, "")
    assert "New head for 3 classes" in out
    delta = kbp.TaskDelta.load(place / "task.npz")
    assert str(delta) in " ".join(out.split())
    assert delta.changed == int(0.1 * delta.base_size)
    assert delta.metadata["class_names"] == ["dark", "grey", "light"]
    assert delta.metadata["options"]["batch_size"] == 10

    code, out, err = run(
        *(capsys, "apply", base, f"--delta={place}/task.npz"),
        f"--output={place}/task.keras",
    )
    assert (code, err) == (0, "")
    assert f"Network: {place}/task.keras" in out
    network = keras.models.load_model(place / "task.keras")
    again = delta.apply(keras.models.load_model(place / "base.keras"))
    assert network.output_shape == (None, 3)
    for a, b in zip(network.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (("diff", "--model=a.keras", "--output=a.npz"), "Expected --data with diff"),
        (("diff", "--model=a.keras", "--data=digits"), "Expected --output with diff"),
        (("apply", "--model=a.keras", "--output=b.keras"), "Expected --delta with"),
        (
            ("apply", "--model=a.keras", "--delta=a.npz", "--output=b.npz"),
            "--output of apply to end with .keras. Received: --output=b.npz",
        ),
        (
            ("diff", "--model=MobileNet", "--data=digits", "--output=a.npz"),
            "--model of diff to be a file. Received: --model=MobileNet",
        ),
        (("diff", "--model=a.keras", "--share=1.0"), "--share to be less than 1"),
        (("diff", "--delta=a.npz", "--model=a.keras"), "--delta, which is for apply"),
    ],
)
def test_wrong_command_lines(words, text, capsys):
    code, out, err = run(capsys, *words)
    assert (code, out) == (2, "")
    assert text in err
    assert err.count("\n") == 1


def test_wrong_files(place, capsys, tmp_path):
    (tmp_path / "task.npz").write_bytes(b"a")
    output = f"--output={tmp_path}/out.keras"
    for delta, text in (
        ("task.npz", "Expected --delta to be a file written by"),
        ("missing.npz", "where there is no file"),
    ):
        code, _, err = run(
            *(capsys, "apply", f"--model={place}/base.keras"),
            *(f"--delta={tmp_path}/{delta}", output),
        )
        assert code == 1
        assert text in err
    assert [path.name for path in tmp_path.iterdir()] == ["task.npz"]
