"""A network in use while deltas are written into it and taken out again."""

import numpy as np
from models import array, identical
from task_networks import made_delta, state


def in_use(model) -> dict[str, bool]:
    """Runs and trains a classifier of 6x6x3 images between deltas; says what holds."""
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((8, 6, 6, 3)).astype("float32"), np.arange(8) % 2
    model.compile("sgd", "sparse_categorical_crossentropy")
    said = model.predict(x, verbose=0)
    (first, one), (second, two) = (made_delta(model, seed=seed) for seed in (0, 1))
    told = [delta.apply(model).predict(x, verbose=0) for delta in (first, second)]
    before, base, found = state(model), weights(model), {}

    def is_in(delta, wanted, answers):
        delta.apply_in_place(model, check=False)
        fits = [identical(state(model), wanted)]
        fits.append(identical([model.predict(x, verbose=0)], [answers]))
        model.evaluate(x, y, verbose=0)
        fits.append(identical(state(model), wanted))
        return all(fits)

    def is_out(delta):
        delta.remove(model)
        return identical(state(model), before)

    found["one"] = is_in(first, one, told[0]) and is_out(first)
    found["the other"] = is_in(second, two, told[1]) and is_out(second)
    found["again"] = is_in(first, one, told[0])
    model.fit(x, y, epochs=2, verbose=0)
    found["trained"] = not identical(state(model)[:1], one[:1])
    first.remove(model)
    places = [change.place for change in first.changes]  # the head's are last
    now, origin = ([v[n] for n in places] for v in (weights(model), base))
    found["restored after training"] = len(places) > 2 and identical(now, origin)
    for variable, value in zip(model.variables, before, strict=True):
        variable.assign(value)
    found["exact after training"] = is_in(first, one, told[0]) and is_out(first)
    found["outputs"] = identical([model.predict(x, verbose=0)], [said])
    return found


def weights(model):
    return [array(v) for v in model.weights]
