"""What can be told from the command line alone, and what `--help` says of it."""

import dataclasses
import re
import types

import numpy as np
import pytest
from command_lines import refused, run

from keras_basisprune.cli import _exporters
from keras_basisprune.cli._table import FLAGS
from keras_basisprune.cli.write_exports import write_exports

NOTHING = "--model=nothing.keras"  # is never looked at
COMPRESS = ("compress", NOTHING, "--data=digits")
OWN = "inspect compress export report prefilter measure".split()


@dataclasses.dataclass(frozen=True)
class Record:
    path: str


@pytest.mark.parametrize("command", OWN)
@pytest.mark.parametrize("form", [("{}", "--help"), ("help", "{}"), ("-h", "{}")])
def test_help_of_a_command_lists_its_flags_alone(capsys, command, form):
    code, out, err = run(capsys, *(word.format(command) for word in form))
    assert (code, err) == (0, "")
    told = re.findall(r"^  --(?:\[no\])?(\w+)", out, re.MULTILINE)
    assert told == [flag.name for flag in FLAGS if command in flag.commands]
    assert f"keras-basisprune {command}" in out
    assert max(map(len, out.splitlines())) <= 88


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (("inspect", "--epochs=3"), "flags of inspect. Received: --epochs, which is f"),
        (
            ("inspect", "--output_dir=x"),
            "--output_dir, which is for compress, search, export",
        ),
        (("compress", "--rank=3"), "--rank, which is for inspect. See keras-basispr"),
        (("export", "--recover=all"), "flags of export. Received: --recover"),
        (("measure", "--data=digits"), "flags of measure. Received: --data"),
        (("report", "--runs=3"), "flags of report. Received: --model"),
    ],
)
def test_flags_of_other_commands_are_refused(capsys, words, text):
    code, err = refused(capsys, words[0], NOTHING, *words[1:])
    assert code == 2
    assert text in err


WRONG = {
    "--formats=int4": "--formats to be some of float32, float16, dynamic, ",
    "--formats=int8,int8": "to be a list without repetitions",
    "--formats=,": "--formats to be some of",
    "--flip=diag": "--flip to be one of none, horizontal, vertical, horizontal_and",
    "--recover=some": "--recover to be one of none, all, scales. Received: --recov",
    "--cost=size": "--cost to be one of flops, params, bytes, latency",
    "--methods=": "--methods to be some of basis, channels, basis_weights, ",
    "--methods=basis,basis": "to be a list without repetitions",
    "--shift=1": "--shift to be less than 1",
    "--max_drop=1": "--max_drop to be a number of 0 or more, less than 1, or a share",
    "--max_drop=nan": "such as 1%. Received: --max_drop=nan",
    "--max_drop=100%": "such as 1%. Received: --max_drop=100%",
    "--max_drop=-1%": "such as 1%. Received: --max_drop=-1%",
    "--max_drop=much": "such as 1%. Received: --max_drop=much",
    "--max_drop=": "--max_drop",
    "--metric=": "--metric to be not empty",
    "--metric=f1,f1": "--metric to be a list without repetitions",
    "--mode=more": "--mode to be one of auto, max, min. Received: --mode=more",
    "--margin=inf": "--margin to be a finite number",
    "--time_limit=soon": "--time_limit to be a time above 0, such as 90s",
    "--time_limit=0m": "1h30m. Received: --time_limit=0m",
    "--learning_rate=inf": "--learning_rate to be a finite number",
    "--temperature=nan": "--temperature to be a finite number",
    "--zoom=-0.1": "--zoom=-0.1: -0.1 is not a number in the range [0, 1]",
    "--batch_size=0": "--batch_size=0: 0 is not a positive integer",
    "--epochs=2.5": "--epochs=2.5",
    "--seed=-1": "--seed=-1: -1 is not an integer in the range",
    "--seed=1099511627776": "is not an integer in the range [0, 2147483647]",
    "--input_size=1000000000": "is not an integer in the range [8, 4096]",
    "--tensorboard=": "--tensorboard to be not empty",
    "--output_dir=": "--output_dir to be not empty",
    "--import=": "--import to be not empty",
    "--flagfile=nowhere": "Unable to open flagfile",
}


@pytest.mark.parametrize("flag", WRONG)
def test_wrong_values_are_refused(capsys, flag):
    code, err = refused(capsys, *COMPRESS, flag)
    assert code == 2
    assert WRONG[flag] in err


@pytest.mark.parametrize("rank", ["inf", "nan", "0", "1.5", "-1", "many", ""])
def test_wrong_ranks_are_refused(capsys, rank):
    code, err = refused(capsys, "inspect", NOTHING, f"--rank={rank}")
    assert code == 2
    assert "--rank" in err


IDLE = {
    ("inspect", "--max_images=5"): "--max_images without --data.",
    ("inspect", "--seed=1"): "--seed without --data.",
    ("inspect", "--weights=imagenet"): "--weights with a file as --model",
    ("export", "--seed=1"): "--seed without --data.",
    ("export", "--formats="): "--formats= without a name. Leave it",
    ("export", "--formats=int8"): "Expected --data with --formats=int8",
    ("measure", "--weights=none"): "--weights with a file as --model",
    (*COMPRESS, "--finetune_epochs=9"): "--finetune_epochs with a file as --model",
    (*COMPRESS, "--flip=horizontal"): "--flip with --recover=none. It is for training",
    (*COMPRESS, "--epochs=9"): "--epochs with --recover=none",
    (*COMPRESS, "--batch_size=9"): "--batch_size with --recover=none",
    (*COMPRESS, "--nodistill"): "--nodistill with --recover=none",
    (*COMPRESS, "--quantize", "--ship=int8"): "--quantize with --recover=none",
    (*COMPRESS, "--quantize", "--recover=all"): "--quantize without --ship=int8",
    (
        *COMPRESS,
        "--quantize",
        "--ship=int8",
        "--recover=scales",
    ): "--quantize with --recover=scales. It trains all weights.",
    (*COMPRESS, "--augment_fit"): "--augment_fit with --recover=none",
    (*COMPRESS, "--recover=all", "--augment_fit"): "--augment_fit without one of --f",
    (*COMPRESS, "--recover=all", "--nodistill", "--temperature=2"): "with --nodistill",
    (*COMPRESS, "--methods=basis", "--nocompensate"): "--nocompensate with --methods",
    (
        *COMPRESS,
        "--methods=slimming,basis",
        "--nocompensate",
    ): "with --methods=slimming,basis. It corrects layers that read removed channels",
    (*COMPRESS, "--methods=slimming", "--flip=vertical"): "--flip with --recover=none",
}


@pytest.mark.parametrize("words", IDLE)
def test_flags_that_would_do_nothing_are_refused(capsys, words):
    words = words if NOTHING in words else (words[0], NOTHING, *words[1:])
    code, err = refused(capsys, *words)
    assert code == 2
    assert IDLE[words if words in IDLE else (words[0], *words[2:])] in err


@pytest.mark.parametrize(
    "words",
    [
        ("measure", "--model=a.tflite", "--import=os"),
        ("measure", "--model=a.tflite", "--input_size=96"),
        ("inspect", "--model=MobileNet", "--import=os"),
    ],
)
def test_flags_that_would_do_nothing_for_a_kind_of_model(capsys, words):
    code, err = refused(capsys, *words)
    assert code == 2
    flag = words[-1].partition("=")[0]
    assert f"Expected flags that have an effect. Received: {flag} with a " in err


@pytest.mark.parametrize(
    "words",
    [
        (*COMPRESS, "--flip=none", "--epochs=5", "--learning_rate=1e-3", "--seed=0"),
        (*COMPRESS, "--methods=channels,basis", "--compensate", "--formats="),
        ("export", NOTHING, "--seed=0", "--formats=saved_model"),
        # These have an effect: the method trains, the method compensates.
        (*COMPRESS, "--methods=slimming", "--epochs=9"),
        (*COMPRESS, "--methods=double_pruning,slimming", "--nocompensate"),
        (*COMPRESS, "--metric=auto", "--mode=auto", "--max_drop=1%"),
        (*COMPRESS, "--metric=mse,f1,mean_iou", "--mode=min", "--max_drop=2"),
    ],
)
def test_defaults_may_be_written_out(capsys, words):
    """They get as far as the model, which is not there."""
    code, err = refused(capsys, *words)
    assert code == 1
    assert "nothing.keras, which is neither a file" in err


def test_one_folder_for_a_report(capsys):
    code, err = refused(capsys, "report", "a", "--output_dir=b")
    assert code == 2
    assert "Expected one folder. Received: a and --output_dir=b" in err


def test_a_kind_of_file_is_one_row(monkeypatch, tmp_path):
    def write(model, path, images, samples, input_shape):
        path.write_text(f"{model} of {len(images)} images, checked on {len(samples)}")
        return Record(str(path))

    row = _exporters.Exporter("toy", "small.toy", write, needs_data=True)
    monkeypatch.setitem(_exporters.EXPORTERS, "toy", row)
    flags = types.SimpleNamespace(formats=["toy"])
    (found,) = write_exports(flags, "a model", tmp_path, np.zeros((40, 2)))
    assert found == Record(str(tmp_path / "small.toy"))
    text = (tmp_path / "small.toy").read_text()
    assert text == "a model of 40 images, checked on 32"
