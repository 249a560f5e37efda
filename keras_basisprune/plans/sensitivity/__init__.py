"""What a network's outputs lose as each of its layers is cut, measured."""

from keras_basisprune.plans.sensitivity.loss_curve import LossCurve
from keras_basisprune.plans.sensitivity.plot_sensitivity import plot_sensitivity
from keras_basisprune.plans.sensitivity.record import Sensitivity
from keras_basisprune.plans.sensitivity.sensitivity import sensitivity

__all__ = ["LossCurve", "Sensitivity", "plot_sensitivity", "sensitivity"]
