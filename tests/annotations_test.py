"""Annotations of the public API: all there, and seen by a type checker."""

import inspect

import pytest
from mypy import api

import keras_basisprune as kbp

ROOMS = {"kbp": kbp, "scores": kbp.scores, "scores.channels": kbp.scores.channels}


def functions(public):
    """Yields names and functions of a public name: of classes, what they define."""
    if inspect.isfunction(public):
        yield public.__name__, public
    elif inspect.isclass(public):
        for name, member in vars(public).items():
            member = getattr(member, "__func__", getattr(member, "fget", member))
            if inspect.isfunction(member) and (name == "__init__" or name[0] != "_"):
                yield f"{public.__name__}.{name}", member


def missing(function):
    """Names of parameters without annotation, and `"return"` without one."""
    signature = inspect.signature(function)
    found = [
        name
        for name, parameter in signature.parameters.items()
        if parameter.annotation is parameter.empty and name not in ("self", "cls")
    ]
    if signature.return_annotation is signature.empty:
        found.append("return")
    return found


@pytest.mark.parametrize("room", ROOMS)
def test_all_that_is_public_is_annotated(room):
    seen = {}
    for name in ROOMS[room].__all__:
        seen |= functions(getattr(ROOMS[room], name))
    assert len(seen) > 2
    unannotated = {name: gaps for name, each in seen.items() if (gaps := missing(each))}
    assert unannotated == {}


def test_what_is_missing_is_found():
    class Half:
        def __init__(self, a, b: int):
            pass

        @property
        def whole(self) -> int:
            return 1

        @classmethod
        def made(cls, *names: str, **others):
            pass

        def _private(self, a):
            pass

    found = {name: missing(each) for name, each in functions(Half)}
    assert found == {
        "Half.__init__": ["a", "return"],
        "Half.whole": [],
        "Half.made": ["others", "return"],
    }


def test_a_type_checker_sees_them(tmp_path):
    program = tmp_path / "program.py"
    program.write_text(
        "import keras\n"
        "import keras_basisprune as kbp\n"
        "model = kbp.convert(keras.Model(), rank=0.9)\n"
        "plan: kbp.Plan = kbp.select_bases(model, keep=0.5)\n"
        "small = kbp.prune(model, plan)\n"
        "share: float = kbp.measure.accuracy(small, ([0], [0]))\n"
        "names = sorted(kbp.scores.energy(model))\n"
        "names.append(1)\n"
        "kbp.prune(model, 'plan')\n"
        "kbp.measure.accuracy(small)\n"
        "kbp.missing\n",
        encoding="utf-8",
    )
    out, _, code = api.run(
        [
            str(program),
            "--ignore-missing-imports",
            "--hide-error-context",
            f"--cache-dir={tmp_path}",
        ]
    )
    lines = [line.split(":")[1] for line in out.splitlines() if ": error:" in line]
    assert code == 1
    assert lines == ["8", "9", "10", "11"], out
