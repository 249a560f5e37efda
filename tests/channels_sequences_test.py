"""Layers of sequences that have a rule, attention above all, against the oracle."""

import pytest
from channel_oracle import between, chain, check
from keras import layers, ops

import keras_basisprune as kbp

SEQUENCES = {
    "conv": chain(lambda: layers.Conv1D(5, 3, padding="causal")),
    "transposed": chain(lambda: layers.Conv1DTranspose(5, 3)),
    "depthwise": chain(lambda: layers.DepthwiseConv1D(3, depth_multiplier=2)),
    "separable": chain(lambda: layers.SeparableConv1D(5, 3)),
    "pooling": chain(layers.MaxPooling1D, lambda: layers.AveragePooling1D(2)),
    "resizing": chain(layers.UpSampling1D, layers.ZeroPadding1D, layers.Cropping1D),
    "global_pooling": lambda x: layers.RepeatVector(3)(
        layers.GlobalAveragePooling1D()(x) - layers.GlobalMaxPooling1D()(x)
    ),
    "recurrent": chain(
        lambda: layers.LSTM(4, return_sequences=True),
        lambda: layers.Dense(5),
        lambda: layers.Bidirectional(layers.GRU(3, return_sequences=True)),
        lambda: layers.Dense(5),
        lambda: layers.SimpleRNN(4, return_sequences=True),
    ),
    "recurrent_states": lambda x: (
        ops.expand_dims(layers.LSTM(4, return_state=True)(x)[1], 1)
        + layers.GRU(4, return_sequences=True)(
            layers.Conv1D(5, 2)(x), initial_state=layers.Dense(4)(x[:, 0])
        )
    ),
    "attention": lambda x: layers.Attention(use_scale=True)(
        [x, layers.Dense(5)(x), layers.Conv1D(6, 1)(x)]
    ),
    "attention_by_concatenation": lambda x: layers.Attention(score_mode="concat")(
        [x, layers.Conv1D(6, 1)(x)]
    ),
    "additive_attention": lambda x: layers.AdditiveAttention()(
        [x, layers.Dense(5)(x), layers.Conv1D(6, 1)(x)]
    ),
    "additive_attention_alone": lambda x: layers.AdditiveAttention()([x, x]),
    "self_attention": lambda x: x + layers.MultiHeadAttention(2, 3)(x, x),
    "attention_scores": lambda x: layers.Add()(
        [x, layers.MultiHeadAttention(2, 3)(x, x, return_attention_scores=True)[0]]
    ),
    "cross_attention": lambda x: layers.MultiHeadAttention(2, 3, value_dim=4)(
        x, layers.Dense(5)(x), layers.Dense(4)(x)
    ),
    "attention_by_keyword": lambda x: layers.MultiHeadAttention(
        2, 3, output_shape=5, use_bias=False
    )(value=layers.Dense(5)(x), query=x, key=layers.Dense(4)(x)),
    "gated_attention": lambda x: layers.MultiHeadAttention(2, 3, use_gate=True)(x, x),
    "causal_attention": lambda x: layers.MultiHeadAttention(2, 3)(
        x, x, use_causal_mask=True
    ),
    "grouped_queries": lambda x: layers.GroupQueryAttention(3, 4, 2)(
        x, layers.Dense(6)(x), key=layers.Dense(4)(x)
    ),
    "gated_grouped_queries": lambda x: layers.GroupQueryAttention(
        3, 4, 2, use_bias=False, use_gate=True
    )(query=x, value=x),
}


@pytest.mark.parametrize("name", SEQUENCES)
def test_layers_of_sequences(name):
    model = between(SEQUENCES[name], (8, 3), layers.Conv1D)
    assert kbp.graph.channel_groups(model).prunable("a").all()
    plans = check(model)
    assert any("a" in plan.channels for plan in plans)
