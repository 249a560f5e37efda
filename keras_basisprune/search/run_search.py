"""Runs a search whose arguments were checked."""

import contextlib
import warnings

import keras

from keras_basisprune.graph.rewrite import flatten
from keras_basisprune.search.call_options import cut_options
from keras_basisprune.search.check_quantize import check_quantize
from keras_basisprune.search.chosen_methods import tried_methods
from keras_basisprune.search.cuttable import cuttable
from keras_basisprune.search.doubts import doubts
from keras_basisprune.search.ended_early import ended_early
from keras_basisprune.search.judge import Judge
from keras_basisprune.search.layer_objects import layer_objects
from keras_basisprune.search.locked import locked
from keras_basisprune.search.metrics.absolute_drop import absolute_drop
from keras_basisprune.search.metrics.custom_metric import CustomMetric
from keras_basisprune.search.objective import Objective
from keras_basisprune.search.prepared_by import prepared_by
from keras_basisprune.search.quiet_retracing import quiet_retracing
from keras_basisprune.search.result import (
    FILES,
    QUANTIZED,
    CompressionResult,
    make_result,
)
from keras_basisprune.search.resume_note import resume_note
from keras_basisprune.search.rounds import Rounds
from keras_basisprune.search.run_folder import RunFolder
from keras_basisprune.search.scorer import Scorer
from keras_basisprune.search.shipped import Shipped
from keras_basisprune.search.task import Task
from keras_basisprune.search.unmet_budget import unmet_budget
from keras_basisprune.search.workers.trial_call import TrialCall
from keras_basisprune.search.workers.trial_workers import TrialWorkers
from keras_basisprune.utils.check_path import check_paths
from keras_basisprune.utils.files import sweep
from keras_basisprune.utils.processes import from_first

# The smallest loss that counts as a unit where networks are trained afterwards: a share
# of what a perfect score is, or of the original's.
_LEAST_UNIT = 0.005
_CALLER = 3  # of `compress`, for warnings


def run_search(call) -> CompressionResult:
    """Runs a search.

    Args:
        call: A `SearchCall`.

    Returns:
        What `compress` returns, and raises what it raises.
    """
    original, data = flatten(call.model), call.data
    images, arguments = data.fitted_on(call.recovery), call.arguments()
    tried = tried_methods(call.chosen, cuttable(original, call.chosen))
    prepared = {  # raises at once if a method can't work on the model
        method.name: prepared_by(method, original, images, call.seed)
        for method in tried
        if method.prepares or method.train
    }
    quantize = call.recovery is not None and call.recovery.quantize
    files, state = _files(call.ship, quantize), None
    if call.output_dir is not None:
        state = call.output_dir / "state"
        wanted = files if call.ship else FILES
        paths = "output_dir", call.output_dir, [*wanted, "state/"]
        from_first(lambda: check_paths(*paths))
    shipped, goal = None, call.goal
    if call.ship is not None:
        shipped = Shipped(call.ship, images, None, call.verbose, call.labels)
        shipped.check(original)
        if quantize:
            check_quantize(original, images, shipped)
        goal = Objective(call.cost, export=shipped.export)
    keras.utils.set_random_seed(call.seed)
    with quiet_retracing():
        score = _scorer(call, original)
        on_test = data.test_score(original, call.metric, call.mode)
    drop = absolute_drop(call.max_drop, score.measure, score.baseline)
    for text in doubts(score, drop):
        warnings.warn(text, stacklevel=_CALLER)
    losses = data.losses(call.model, call.recovery)
    belongs_to = call.belongs_to(losses)
    with locked(state), resume_note(state), quiet_retracing():
        folder = RunFolder(state, belongs_to)
        if state:
            from_first(lambda: sweep(call.output_dir, files))
        keras.utils.set_random_seed(call.seed)
        least = score.sign * score.baseline - drop
        judged = original, score, goal, folder, shipped, least, call.config.margin
        task = _task(
            call,
            model=original,
            images=images,
            judge=Judge(*judged),
            sign=score.sign,
            measure=score.measure,
            supervision=losses,
            min_score=least,
            max_drop=drop,
            least_unit=_least_unit(score),
            methods=tried,
            prepared=prepared,
            cut_options=cut_options(call.config, goal, state, call.seed),
        )
        with _workers(call, task, folder, shipped) as workers:
            rounds = Rounds(task, folder, workers)
            rounds.run()
        about = {"name": call.data_name, "class_names": call.labels}
        given = arguments, call.output_dir, about
        result = make_result(task, rounds, score, on_test, *given)
    if rounds.stopped:
        warnings.warn(ended_early(rounds, state), stacklevel=_CALLER)
    elif not result.met_budget:
        text = unmet_budget(task, score.baseline, rounds.trials)
        warnings.warn(text, stacklevel=_CALLER)
    return result


@contextlib.contextmanager
def _workers(call, task, folder, shipped):
    """Yields the processes of a search, `None` for a single one; ends them."""
    if call.workers == 1:
        yield None
        return
    data = call.data
    workers = TrialWorkers(
        call.workers,
        TrialCall(
            objects=layer_objects(task.model),
            images=task.images,
            validation=data.validation_alone(isinstance(task.measure, CustomMetric)),
            metric=task.measure,
            outputs=data.outputs,
            constants=data.constants,
            cost=call.goal.kind,
            ship=call.ship,
            calibrate=shipped is not None and shipped.calibrate,
            labels=call.labels,
            methods=task.methods,
            cut_options=task.cut_options,
            least=task.min_score,
            margin=task.margin,
            seed=call.seed,
        ),
        task.model,
        folder,
    )
    try:
        yield workers
    finally:
        workers.close()


def _files(ship, quantize) -> list[str]:
    """Returns the names of all files that may be written."""
    shipped = [f"{name}_{ship}.tflite" for name in ("original", "small")]
    return [*FILES, *shipped, *[QUANTIZED] * quantize]


def _scorer(call, original) -> Scorer:
    data, given = call.data, {"seed": call.seed, "constants": call.data.constants}
    return Scorer(original, data.validation, call.metrics, data.outputs, **given)


def _least_unit(score) -> float:
    return _LEAST_UNIT * (1 if score.measure.share else abs(score.baseline))


def _task(call, **found) -> Task:
    """Returns a `Task` of what was asked for, and of what was found since."""
    return Task(
        train=call.data.train,
        validation=call.data.validation,
        outputs=call.data.outputs,
        objective=call.goal.kind,
        margin=call.config.margin,
        recovery=call.recovery,
        distill=call.config.distill,
        rounds=call.config.rounds,
        callbacks=call.callbacks,
        epochs=call.epochs,
        seed=call.seed,
        verbose=call.verbose,
        deadline=call.deadline,
        **found,
    )
