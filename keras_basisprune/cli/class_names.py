"""Names of the classes of a model."""


def class_names(data, model):
    """Returns the names of the classes, if the model answers for that many."""
    names = data.class_names
    shapes = [tuple(tensor.shape[1:]) for tensor in model.outputs]
    fits = shapes == [(len(names),)] or (len(names) == 2 and shapes == [(1,)])
    return names if fits else None
