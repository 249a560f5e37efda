"""Calls of the command line within this process."""

from keras_basisprune.cli.main import main


def run(capsys, *words):
    """Exit code, standard output, and standard error of one call."""
    capsys.readouterr()
    code = main(["keras-basisprune", *words])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def refused(capsys, *words):
    """Exit code and standard error, which must be one line, of a call that fails."""
    code, _, err = run(capsys, *words)
    assert err.startswith("keras-basisprune: ")
    assert err.count("\n") == 1
    return code, err
