"""The path of benchmarks/prefilter.py, on a few images."""

import re

import numpy as np
import pytest
from benchmark_modules import benchmark
from relevance_encoders import images

prefilter, values = benchmark("prefilter")


@pytest.fixture
def parts(tmp_path):
    """Two files of images in two classes each: dark ones, and light ones."""
    labels = np.arange(60) % 2
    for name, low in (("dark", 0), ("light", 155)):
        array = images(60, low, 100) + low
        array[labels == 1, :4] = low
        np.savez(tmp_path / f"{name}.npz", x_train=array, y_train=labels)
    return [str(tmp_path / f"{name}.npz") for name in ("dark", "light")]


def test_all_rows(parts, capsys):
    words = ["--size=8", "--target_images=20", "--epochs=1", "--tuning=1", "--width=2"]
    words += [f"--parts={','.join(parts)}", f"--target={parts[1]}", "--keep=0.1,0.25"]
    words += ["--encoder_images=60", "--methods=domain,random", "--nohalf"]
    values(["prefilter", *words])
    prefilter.main(None)
    out = capsys.readouterr().out
    assert "[52 32] images of each part, target (20, 8, 8, 3)" in out
    assert re.search(r"\| domain \| 10% \| 100.0 ± 0.0 \|", out)
    assert re.search(r"\| all \| 100% \| 38.1 ± 0.0 \|", out)
    assert len(re.findall(r"^\| no pre-training \| 0% \|", out, re.MULTILINE)) == 4
    assert len(re.findall(r"^seed 0, .*accuracy \d+\.\d\d %", out, re.MULTILINE)) == 6


def test_classes_of_a_file_are_a_part(parts):
    (train, labels), (_, test) = prefilter.part(f"{parts[0]}:1", 8)
    assert set(labels) == {0} and set(test) == {0}
    assert train[:, :4].max() == 0 and len(train) == 26
