from keras_basisprune.methods.convert import convert

__all__ = ["convert"]
