"""Checks the arguments of a search."""

from keras_basisprune.data.batching.fixed_batch import fixed_batch
from keras_basisprune.data.batching.shares import check_shares
from keras_basisprune.export.add_labels import check_labels
from keras_basisprune.graph.check_finite_weights import check_finite_weights
from keras_basisprune.graph.trace import check_model
from keras_basisprune.search.call_options import (
    check_classes,
    check_counted,
    check_data_name,
    check_recover_and_seed,
    recovery_of,
)
from keras_basisprune.search.chosen_methods import chosen_methods
from keras_basisprune.search.deadline import Deadline
from keras_basisprune.search.metrics.absolute_drop import absolute_drop
from keras_basisprune.search.objective import Objective
from keras_basisprune.search.search_call import SearchCall
from keras_basisprune.search.search_data import SearchData
from keras_basisprune.search.search_options import SearchOptions
from keras_basisprune.search.shipped import check_ship
from keras_basisprune.search.workers.check_workers import check_workers
from keras_basisprune.training.check_classifier import check_classifier
from keras_basisprune.training.check_output_scale import check_output_scale
from keras_basisprune.training.on_first_process import on_first_process
from keras_basisprune.utils.check_duration import check_duration
from keras_basisprune.utils.check_max_drop import check_max_drop
from keras_basisprune.utils.check_path import check_path
from keras_basisprune.utils.check_record import check_record
from keras_basisprune.utils.check_verbose import check_verbose
from keras_basisprune.utils.processes import from_first


def checked_call(
    *,
    model,
    train,
    validation,
    metric,
    mode,
    max_drop,
    cost,
    methods,
    recover,
    ship,
    epochs,
    output_dir,
    seed,
    test,
    time_limit,
    config,
    callbacks,
    class_names,
    data_name,
    verbose,
    workers,
) -> SearchCall:
    """Checks the arguments of `compress`, and reads the data as far as needed for it.

    Nothing is written. Raises the `ValueError`s of `compress`, but for those that need
    its folder.
    """
    goal = Objective(cost)
    check_counted(goal)
    check_ship(ship)
    check_workers(workers, goal)
    max_drop, seed = check_max_drop(max_drop), check_recover_and_seed(recover, seed)
    if time_limit is not None:
        time_limit = check_duration("time_limit", time_limit)
    deadline = Deadline(time_limit)
    chosen = chosen_methods(methods)
    trained = any(method.train for method in chosen)
    callbacks, verbose = on_first_process(callbacks), check_verbose(verbose)
    if output_dir is not None:
        output_dir = check_path("output_dir", output_dir)
        from_first(lambda: check_path("output_dir", output_dir, "folder"))
    check_model("model", model)
    if trained:
        check_classifier("model", model)
    check_finite_weights(model)
    labels = check_labels("class_names", class_names, model)
    check_data_name(data_name)
    config = check_record("config", config, SearchOptions)
    recovery = recovery_of(recover, epochs, seed, config, ship)
    if recovery is not None:
        check_shares("recover.batch_size", recovery.batch_size, fixed_batch(model))
    data = SearchData(model, train, validation, test, metric, recovery, config, seed)
    if trained:
        check_classes(chosen, data.outputs[0])
    if recovery is not None or trained:
        check_output_scale("model", model, data.outputs, data.train.first)
    metrics = data.metrics(metric, mode)
    absolute_drop(max_drop, metrics[0], 1.0)
    return SearchCall(
        model=model,
        data=data,
        metric=metric,
        metrics=metrics,
        mode=mode,
        max_drop=max_drop,
        cost=cost,
        goal=goal,
        chosen=chosen,
        recovery=recovery,
        ship=ship,
        epochs=epochs,
        output_dir=output_dir,
        seed=seed,
        deadline=deadline,
        config=config,
        callbacks=tuple(callbacks),
        labels=labels,
        data_name=data_name,
        verbose=verbose,
        workers=workers,
    )
