"""Searches for the smallest network within a budget."""

from collections.abc import Sequence
from typing import Any

import keras

from keras_basisprune.methods import Method
from keras_basisprune.search.checked_call import checked_call
from keras_basisprune.search.result import CompressionResult
from keras_basisprune.search.run_search import run_search
from keras_basisprune.search.search_options import SearchOptions
from keras_basisprune.training.recovery import Recovery
from keras_basisprune.utils.types import Data, Path, Verbose


def compress(
    model: keras.Model,
    train: Data,
    validation: Data,
    *,
    metric: Any = "auto",
    mode: str = "auto",
    max_drop: float | str | None = None,
    cost: str = "flops",
    methods: Sequence[str | Method] = ("basis", "channels"),
    recover: str | Recovery | None = None,
    ship: str | None = None,
    epochs: int | None = None,
    output_dir: Path | None = None,
    seed: int = 0,
    test: Data = None,
    time_limit: float | str | None = None,
    config: SearchOptions | None = None,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    class_names: Sequence[str] | None = None,
    data_name: str | None = None,
    verbose: Verbose = "auto",
    workers: int = 1,
) -> CompressionResult:
    """Makes a trained network as small as a budget allows.

    Networks of several sizes are made in closed form, from 300 of the training images
    and without labels; the best one is made again from 1,000, and judged again.
    Channels are removed where the outputs lose least (`sensitivity`), those first that
    the others can best replace (`scores.channels.compensated`), and kernels are
    corrected (`compensate`). Then bases of the layers' outputs are computed, ranks are
    chosen by energy per cost (`select_bases`), and layers are fitted one after the
    other (`convert(basis="regression")`). Each network is folded and judged on
    `validation`. A walk along the predicted losses finds the smallest one that is good
    enough, and whether it is best to remove channels, bases or both.

    With `recover`, a round looks for a network that loses up to ten times the budget
    and trains it, which recovers most of the loss; if that is not enough, less is cut.
    A network that is good enough is cut again in the next round, until a round gains
    less than 5 %. Training is towards the outputs of the original, so labels of `train`
    are not needed. The given model is not changed.

    What is judged depends on what the outputs are: accuracy for classes (softmax, or
    logits for such a loss) and for yes and no (sigmoid), of all labels or positions;
    mean intersection over union for maps of classes; mean absolute error for numbers;
    mean cosine for directions (trained by cosine, or normalized). With several outputs
    it is the mean, of `1 - error / deviation` for numbers among others. Without labels,
    it is how far a network agrees with the original. `metric` chooses anything else.

    Time: a first round makes nine networks at most (mostly about seven), a later one
    six, and then makes one or two again. Each takes about two passes of its images
    through the network, one pass of `validation` through the result, and per layer of
    `n = kh kw cin` inputs `O(n^2)` for each of 30,000 samples and `O(n^3)` for the
    solution. Measuring the sensitivity, once per round, takes less than making a
    network again does. `recover` adds `epochs` of training the small network per round,
    or up to eight times that where it fails.

    Sources: Wong, Kashyap, Moradi 2021, *Basis Scaling and Double Pruning for Efficient
    Transfer Learning* (arXiv:2108.02893), section 3.4; *Compensation-aware pruning*
    (CaP, arXiv:2108.13728).

    Args:
        model: A trained Functional or Sequential model, with any inputs and outputs.
        train: What `fit` takes: `(x, y)` or `(x, y, sample_weight)` of arrays, or of
            lists or dicts of them for several inputs or outputs, or a dataset of such
            batches (`tf.data.Dataset`, `keras.utils.PyDataset`, ...); or `x` alone. A
            dataset is never in memory as a whole, and keeps its own order.
        validation: The same, on which the budget is judged; a dataset must give its
            samples in the same order each time. There is a warning if right and wrong
            answers are too few to resolve the budget: `max_drop=0.01` needs 299.
        metric: `"auto"`; the name of a metric of Keras (`"auc"`, `"f1"`, `"mse"`, ...),
            or a `keras.metrics.Metric`; or a function of a model and `validation` that
            returns a number, or an array of one number per sample, whose mean is the
            score and whose errors are known. In a list, the first decides, and the
            others are reported. For several outputs, a metric is applied to each and
            averaged; a dict by name says to which.
        mode: `"max"` if more of the metric is better, `"min"` if less is. `"auto"`
            knows for all metrics of Keras; for functions it is `"min"` if the name
            speaks of an error, loss or distance, else `"max"`.
        max_drop: How much worse the score may get, in its own unit; 0.01 is one point
            of accuracy. A text such as `"1%"` is a share of the original's score.
            Defaults to 0.01 for scores that are shares, and to `"1%"` for others, such
            as errors.
        cost: What is made small: `"flops"`, `"params"`, `"bytes"` (of the LiteRT file)
            or `"latency"` (milliseconds of LiteRT on this machine; widths and ranks are
            chosen by timed layers).
        methods: Names of `METHODS` by which networks are made, or custom `Method`s.
            `"basis"` is short for `"basis_regression"`, `"channels"` for
            `"compensated_channels"`; these two together include `"double_pruning"`.
            Methods that train need a classifier with one input and one softmax; they do
            so once for each network that is cut, on `train` (in memory) with its labels
            or, without labels, with the classes that the model predicts.
        recover: What is trained after each cut: `None` for nothing, `"all"` weights,
            `"scales"` (one factor per basis, BatchNormalization and head), or a
            `Recovery` for the details. With `Recovery(quantize=True)` and
            `ship="int8"`, each training is followed by quantization-aware training
            (`quantize_aware`), and the int8 file with its trained ranges is judged; the
            next round cuts the network from before.
        ship: The form in which the network will ship: `"float32"`, `"float16"` or
            `"int8"`. Every network that is good enough by Keras is then judged again
            as that LiteRT file, run by the LiteRT interpreter on `validation`, and what
            is returned is good enough in both. For int8 it is that of `quantize_aware`,
            which trains nothing, on at most 320 of the training images; of networks
            that it does not take, LiteRT's converter calibrates it. Scores, bytes and
            milliseconds of the report are those of the file. `None` judges networks by
            Keras alone.
        epochs: Integer, epochs of each training. Defaults to the epochs of `recover`
            (5 if it is a string), and for training that `methods` need, to the default
            of each method.
        output_dir: Folder for the state of the search, the small network (`.keras` and
            LiteRT), the plans, `report.json` and `report.html`. If the search was
            interrupted, the same call continues from the state there. One search at a
            time may use the folder. If something other than a file has one of these
            names, nothing is done. `None` (default) writes nothing.
        seed: Integer, for everything random; for training only if `recover` has no seed
            other than 0. The same seed on the same machine gives the same result
            (except for `"latency"`, which is measured).
        test: Labelled data that play no part in the search: the report has the metrics
            of the result on them.
        time_limit: Seconds, or a text such as `"30m"`, after which the best network so
            far is returned; files and report come after it. No network is begun that
            would not end in time by what others have cost, and training is shortened
            to the epochs that fit. With `output_dir`, the same call with more time goes
            on from there. `None` (default) for no limit.
        config: A `SearchOptions`.
        callbacks: Keras callbacks for training. A `keras.callbacks.TensorBoard` also
            gets the figures of every trial.
        class_names: Names of the classes, in the order of the output: for the report
            and, as `labels.txt`, for the LiteRT files (`export.read_labels`).
        data_name: String, what the data are, for the report.
        verbose: Whether to show progress: `"auto"` and 1 do, 0 doesn't.
        workers: Integer, how many networks are tried at once, each in a process of its
            own that shares the processors evenly with the others and holds the images
            that are fitted on and `validation` in memory. Those that are likely to be
            asked for next are made ahead, so that the result is that of one worker (to
            the rounding of sums); two or three more are made than are needed. Networks
            that train are made one by one. Not for `"latency"`.

    Returns:
        A `CompressionResult`. If the budget can't be met, its `model` is the original,
        folded, `met_budget` is false, and there is a warning. An interrupt (Ctrl-C)
        also returns the best network so far, with a warning that says how to go on.

    Raises:
        KeyboardInterrupt: If the search is interrupted before any network is good
            enough.
        ValueError: If an argument is out of its range, the model is subclassed or not
            built, a method can't work on it, it can't be written in the form `ship`,
            the data do not fit it, a metric fails on the original or is no number, or
            `output_dir` holds the state of another search, is being used by another
            search, or holds folders with the names of files to be written.

    Example:

    >>> result = keras_basisprune.compress(model, (x, y), (x_val, y_val), recover="all")
    >>> print(result.report)
    >>> result.model.save("small.keras")
    >>> keras_basisprune.compress(unet, train, validation, max_drop="1%")  # mean IoU
    """
    return run_search(
        checked_call(
            model=model,
            train=train,
            validation=validation,
            metric=metric,
            mode=mode,
            max_drop=max_drop,
            cost=cost,
            methods=methods,
            recover=recover,
            ship=ship,
            epochs=epochs,
            output_dir=output_dir,
            seed=seed,
            test=test,
            time_limit=time_limit,
            config=config,
            callbacks=callbacks,
            class_names=class_names,
            data_name=data_name,
            verbose=verbose,
            workers=workers,
        )
    )
