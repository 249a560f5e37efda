"""Diff pruning of a text transformer: two tasks from one small BERT.

    python -m benchmarks.text_tasks --output_dir=text_tasks --ways=full,scratch \\
        --rates=3e-4,1e-3,3e-3
    python -m benchmarks.text_tasks --output_dir=text_tasks

KerasHub's BERT architecture is trained from scratch on masked words of docstrings
(`benchmarks/text_corpus.py`), once, and kept in `--output_dir`. Then it is moved to
tasks, each with a few hundred labelled texts: *package*, of which package a docstring
is; *order*, whether its words are in order or shuffled; *kind*, whether it is of a
class, a function or a method (for which that training is of no use). Rows and tables
are those of `benchmarks/diff_pruning.py`; there is no BatchNormalization. *scratch* is
*full* without the training on masked words, to see what that is worth. `--preset` takes
a pre-trained BERT of KerasHub instead. All weights together want a lower rate than a
few of them: hence the first call above, whose rows the second one takes over.

It needs KerasHub: `pip install keras-basisprune[text]`. On one core, the training on
masked words takes some eight minutes, and so do the rows of one task and seed. Quick,
in a few minutes: `--hidden=64 --pretrain_epochs=15 --tasks=order --seeds=1
--shares=0.005,0.05 --ways=head,full,scratch,gates`.
"""

import dataclasses
import functools
import pathlib

import keras
import numpy as np
from absl import app, flags

from benchmarks import text_corpus
from benchmarks.delta_rows import experiment, table

_OUTPUT = flags.DEFINE_string("output_dir", "text_tasks", "Where all is kept.")
_PRESET = flags.DEFINE_string("preset", None, "A BERT preset of KerasHub, or a folder.")
_TASKS = flags.DEFINE_list("tasks", ["package", "order"], "Which tasks.")
_SHARES = flags.DEFINE_list(
    "shares", ["0.001", "0.0025", "0.005", "0.01", "0.02", "0.05"], "Of the base."
)
_SEEDS = flags.DEFINE_integer("seeds", 3, "How often, with seeds 0, 1, ...")
_WAYS = flags.DEFINE_list(
    "ways", ["head", "full", "scratch", "gates", "magnitude"], "Which rows."
)
_RATES = flags.DEFINE_list("rates", ["3e-3"], "Learning rates to choose from.")
_NUMBERS = {
    "per_package": flags.DEFINE_integer("per_package", 2500, "Texts per package."),
    "task_texts": flags.DEFINE_integer("task_texts", 500, "Labelled ones per task."),
    "length": flags.DEFINE_integer("length", 32, "Words of a text."),
    "layers": flags.DEFINE_integer("layers", 2, "Of the transformer."),
    "heads": flags.DEFINE_integer("heads", 4, "Of attention."),
    "hidden": flags.DEFINE_integer("hidden", 128, "Width."),
    "vocabulary": flags.DEFINE_integer("vocabulary", 3000, "Words."),
    "pretrain_epochs": flags.DEFINE_integer("pretrain_epochs", 40, "On masked words."),
}
_OPTIONS = {
    "epochs": flags.DEFINE_integer("epochs", 10, "Of the whole difference."),
    "fixed_epochs": flags.DEFINE_integer("fixed_epochs", 6, "Of chosen weights."),
    "gate_rate": flags.DEFINE_float("gate_rate", None, "As in DiffOptions."),
    "fixed_rate": flags.DEFINE_float("fixed_rate", None, "Default: the learning rate."),
    "l0": flags.DEFINE_float("l0", None, "As in DiffOptions."),
}


@dataclasses.dataclass(frozen=True)
class Sizes:
    """What the flags say, for callers without flags."""

    per_package: int = 2500
    task_texts: int = 500
    length: int = 32
    layers: int = 2
    heads: int = 4
    hidden: int = 128
    vocabulary: int = 3000
    pretrain_epochs: int = 40
    packages: tuple = text_corpus.PACKAGES


@dataclasses.dataclass(frozen=True)
class TextData:
    """Pairs of inputs and labels."""

    train: tuple
    validation: tuple
    test: tuple


def small_bert(sizes):
    """An untrained BERT."""
    import keras_hub

    return keras_hub.models.BertBackbone(
        vocabulary_size=sizes.vocabulary,
        num_layers=sizes.layers,
        num_heads=sizes.heads,
        hidden_dim=sizes.hidden,
        intermediate_dim=4 * sizes.hidden,
        max_sequence_length=sizes.length,
        dropout=0.1,
    )


def preset_bert(name):
    """A pre-trained BERT and its tokenizer.

    Raises:
        OSError: If KerasHub can't load it, with what it needs.
    """
    import keras_hub

    try:
        backbone = keras_hub.models.BertBackbone.from_preset(name)
        return backbone, keras_hub.models.BertTokenizer.from_preset(name)
    except Exception as error:  # of requests, of Kaggle's client, or ValueError
        text = " ".join(str(error).split())[:200]
        raise OSError(
            f"The preset {name!r} could not be loaded. A name such as "
            "bert_tiny_en_uncased is downloaded from Kaggle, hf://OWNER/NAME from "
            "Hugging Face. Without a network, call `save_to_preset(folder)` of "
            "backbone and tokenizer elsewhere, and pass --preset=FOLDER, with "
            "config.json, model.weights.h5, tokenizer.json and "
            f"assets/tokenizer/vocabulary.txt in it. ({type(error).__name__}: {text})"
        ) from error


def pretrain(backbone, texts, epochs, seed=0, verbose=2):
    """Trains a BERT in place, on masked words: new ones in each epoch."""
    import keras_hub

    length = texts["token_ids"].shape[1]
    count = max(1, round(0.15 * length))
    places = keras.Input((count,), dtype="int32", name="mask_positions")
    head = keras_hub.layers.MaskedLMHead(
        token_embedding=backbone.token_embedding,
        intermediate_activation="gelu",
        activation="softmax",
    )
    outputs = head(backbone.output["sequence_output"], mask_positions=places)
    model = keras.Model({**backbone.input, "mask_positions": places}, outputs)
    steps = epochs * -(-len(texts["token_ids"]) // 32)
    rate = keras.optimizers.schedules.CosineDecay(1e-3, steps)
    model.compile(
        keras.optimizers.AdamW(rate, weight_decay=0.01, global_clipnorm=1.0),
        "sparse_categorical_crossentropy",
        weighted_metrics=["accuracy"],
        jit_compile=False if keras.backend.backend() == "tensorflow" else "auto",
    )
    for epoch in range(epochs):
        hidden, where, ids, weights = text_corpus.masked(
            texts["token_ids"], count, (seed, epoch)
        )
        x = {**texts, "token_ids": hidden, "mask_positions": where}
        model.fit(x, ids, sample_weight=weights, verbose=verbose)


def classifier(backbone, classes, dropout=0.1) -> keras.Model:
    """Puts a head behind the mean of all words' outputs."""
    words = backbone.output["sequence_output"]
    mean = keras.layers.GlobalAveragePooling1D(name="mean")
    x = mean(words, mask=backbone.input["padding_mask"])
    x = keras.layers.Dropout(dropout, name="dropout")(x)
    outputs = keras.layers.Dense(classes, activation="softmax", name="head")(x)
    return keras.Model(backbone.input, outputs)


def task_data(inputs, labels, count) -> TextData:
    """Splits texts: a quarter for tests, an eighth for validation, some to train on."""

    def part(start, end):
        rows = slice(start, end)
        return {key: array[rows] for key, array in inputs.items()}, labels[rows]

    total = len(labels)
    test, validation = total // 4, total // 4 + total // 8
    train = part(validation, min(total, validation + count))
    return TextData(train, part(test, validation), part(0, test))


def experiments(sizes, tasks, ways, shares, seeds, rates, options, folder, preset=None):
    """All rows of all tasks, and a table of each: a dict of lists of rows."""
    keras.utils.set_random_seed(0)
    corpus = text_corpus.corpus(sizes.packages, sizes.per_package)
    disorder, corpus["order"] = text_corpus.in_disorder(
        corpus["texts"], sizes.length - 2
    )
    if preset is None:
        known = text_corpus.vocabulary(corpus["texts"], sizes.vocabulary)
        encode = functools.partial(
            text_corpus.encoded, known=known, length=sizes.length
        )
        inputs = encode(corpus["texts"])
        # The first quarter is for tests: words are not learned from it.
        learned = {k: array[len(array) // 4 :] for k, array in inputs.items()}
        backbone = trained_bert(sizes, learned, folder)
    else:
        backbone, tokenizer = preset_bert(preset)
        encode = functools.partial(preset_inputs, tokenizer, length=sizes.length)
        inputs = encode(corpus["texts"])
    print(f"{len(corpus['texts'])} texts of {corpus['packages']}")
    print(f"{backbone.count_params():,} weights", flush=True)
    found = {}
    for task in tasks:
        given = encode(disorder) if task == "order" else inputs
        data = task_data(given, corpus[task], sizes.task_texts)
        classes = int(corpus[task].max()) + 1

        def make(seed, classes=classes):
            keras.utils.set_random_seed(seed)
            return classifier(backbone, classes)

        def untrained(seed, classes=classes):
            keras.utils.set_random_seed(seed)
            return classifier(small_bert(sizes), classes)

        others = {"scratch": untrained}
        print(f"\n{task}: {classes} classes, {len(data.train[1])} training texts\n")
        place = pathlib.Path(folder) / task
        found[task] = experiment(
            make, data, ways, shares, seeds, rates, options, place, others
        )
        print(f"\n{table(found[task])}", flush=True)
    return found


def trained_bert(sizes, texts, folder):
    """A BERT that was trained on masked words; taken from the folder if it is there."""
    path = pathlib.Path(folder) / "bert.weights.h5"
    backbone = small_bert(sizes)
    if path.exists():
        backbone.load_weights(path)
        return backbone
    pretrain(backbone, texts, sizes.pretrain_epochs)
    path.parent.mkdir(parents=True, exist_ok=True)
    backbone.save_weights(path)
    return backbone


def preset_inputs(tokenizer, texts, length):
    """Encodes texts as a preset wants them."""
    ids = np.full((len(texts), length), tokenizer.pad_token_id, "int32")
    for row, text in zip(ids, texts, strict=True):
        found = [int(i) for i in np.asarray(tokenizer(" ".join(text)))][: length - 2]
        found = [tokenizer.cls_token_id, *found, tokenizer.sep_token_id]
        row[: len(found)] = found
    mask = (ids != tokenizer.pad_token_id).astype("int32")
    return {"token_ids": ids, "segment_ids": np.zeros_like(ids), "padding_mask": mask}


def main(argv):
    if len(argv) > 1:
        raise app.UsageError(f"Unexpected arguments: {argv[1:]}")
    experiments(
        Sizes(**{name: flag.value for name, flag in _NUMBERS.items()}),
        _TASKS.value,
        _WAYS.value,
        [float(share) for share in _SHARES.value],
        _SEEDS.value,
        [float(rate) for rate in _RATES.value],
        {k: f.value for k, f in _OPTIONS.items() if f.value is not None},
        _OUTPUT.value,
        _PRESET.value,
    )


if __name__ == "__main__":
    app.run(main)
