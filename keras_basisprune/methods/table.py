"""The table of methods. A new one is a file in this folder, and a row here."""

import functools
import types

from keras_basisprune.methods.basis_regression import (
    regression_network,
    regression_plan,
    regression_scores,
)
from keras_basisprune.methods.basis_scaling import (
    basis_plan,
    basis_training,
    scaled_bases,
)
from keras_basisprune.methods.channel_gates import (
    channel_gates,
    gates_plan,
    gates_training,
)
from keras_basisprune.methods.channel_scaling_method import channel_scaling_method
from keras_basisprune.methods.compensated_channels import (
    compensated_network,
    compensated_plan,
    compensated_scores,
)
from keras_basisprune.methods.compensation_aware import compensation_aware
from keras_basisprune.methods.double_pruning import (
    double_cut,
    double_network,
    double_plan,
    double_split,
)
from keras_basisprune.methods.method import Method
from keras_basisprune.methods.slimming import (
    slimming,
    slimming_network,
    slimming_plan,
    slimming_scores,
    slimming_training,
)
from keras_basisprune.methods.tolerated_drops import tolerated_drops

_BASIS_SCALING = (
    "Wong, Kashyap, Moradi 2021, Basis Scaling and Double Pruning for Efficient "
    "Transfer Learning (arXiv:2108.02893), section"
)
_ACCELERATING = (
    "Zhang, Zou, He, Sun 2015, Accelerating Very Deep Convolutional Networks for "
    "Classification and Detection (arXiv:1505.06798), section"
)
_COMPENSATION = "Compensation-aware pruning (CaP, arXiv:2108.13728)"

_ROWS = (
    Method(
        name="basis_weights",
        title="Basis scaling of weights",
        source=f"{_BASIS_SCALING} 3.1 and 3.2",
        needs=("labels", "training"),
        removes=("bases",),
        prepare=lambda model, *, data=None, l1=0.0: scaled_bases(model, l1=l1),
        train=basis_training,
        plan=basis_plan,
    ),
    Method(
        name="basis_activations",
        title="Basis scaling of activations",
        source=f"{_ACCELERATING} 3.1",
        needs=("data",),
        removes=("bases",),
        prepare=scaled_bases,
        plan=basis_plan,
    ),
    Method(
        name="basis_regression",
        title="Bases by reduced-rank regression, layer after layer",
        source=f"{_ACCELERATING} 3.2",
        needs=("data",),
        removes=("bases",),
        scores=regression_scores,
        plan=regression_plan,
        carry_out=regression_network,
        split=0.0,
        alias="basis",
    ),
    Method(
        name="slimming",
        title="Network slimming",
        source=(
            "Liu, Li, Shen, Huang, Yan, Zhang 2017, Learning Efficient Convolutional "
            "Networks through Network Slimming (arXiv:1708.06519), section 3"
        ),
        needs=("labels", "training"),
        removes=("channels",),
        prepare=lambda model, *, data=None, l1=0.0: slimming(model, l1=l1 or 1e-4),
        train=slimming_training,
        scores=slimming_scores,
        plan=slimming_plan,
        carry_out=slimming_network,
    ),
    channel_scaling_method(),
    Method(
        name="channel_gates",
        title="Channel gates: an architecture apart from its weights",
        source=(
            "Colombo, Gao 2021, Differentiable Architecture Pruning for Transfer "
            "Learning (arXiv:2107.03375)"
        ),
        needs=("labels", "training"),
        removes=("channels",),
        prepare=lambda model, *, data=None, l1=0.0: channel_gates(model),
        train=gates_training,
        train_each=True,
        plan=gates_plan,
    ),
    Method(
        name="compensated_channels",
        title="Channels that the others can replace",
        source=_COMPENSATION,
        needs=("data",),
        removes=("channels",),
        scores=compensated_scores,
        plan=compensated_plan,
        carry_out=compensated_network,
        compensates=True,
        split=1.0,
        alias="channels",
    ),
    Method(
        name="compensation_aware",
        title="As many channels of each layer as the accuracy allows",
        source=(
            "Xie, Fu, Tian, Zhou, Chen 2021, Pruning with Compensation: Efficient "
            "Channel Pruning for Deep Convolutional Neural Networks (CaP, "
            "arXiv:2108.13728), the binary structural search with step constraint"
        ),
        needs=("data",),
        removes=("channels",),
        scores=functools.partial(tolerated_drops, verbose=0),
        plan=functools.partial(compensation_aware, verbose=0),
        carry_out=compensated_network,
        compensates=True,
    ),
    Method(
        name="double_pruning",
        title="Double pruning: channels, then bases",
        source=f"{_BASIS_SCALING} 3.4; {_COMPENSATION}; {_ACCELERATING} 3.2",
        needs=("data",),
        removes=("bases", "channels"),
        scores=compensated_scores,
        plan=double_plan,
        carry_out=double_network,
        plan_and_carry_out=double_cut,
        compensates=True,
        combines=("basis_regression", "compensated_channels"),
        split=double_split,
    ),
)

METHODS = types.MappingProxyType({row.name: row for row in _ROWS})
