"""Which part of a large source to pre-train on, for a target.

Chakraborty et al. 2020, "Efficient Conditional Pre-training for Transfer Learning"
(https://arxiv.org/abs/2011.10231).
"""
