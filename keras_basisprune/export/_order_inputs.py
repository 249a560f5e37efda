"""Gives the inputs of a `.tflite` file the order that they have in the model."""

from keras_basisprune.export.reading.operations import open_file


def order_inputs(path, names):
    """Rewrites a file of several inputs if the converter has changed their order.

    Args:
        path: The path of the file.
        names: Names of the inputs in its signature, in the order of the model.
    """
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema

    if len(names) < 2:
        return
    model = schema.ModelT.InitFromObj(open_file(path))
    for signature in model.signatureDefs or ():
        graph = model.subgraphs[signature.subgraphIndex]
        places = {one.name.decode(): one.tensorIndex for one in signature.inputs}
        wanted = [places[name] for name in names if name in places]
        if sorted(wanted) != sorted(graph.inputs) or wanted == list(graph.inputs):
            continue
        graph.inputs = wanted
        builder = flatbuffers.Builder(1024)
        builder.Finish(model.Pack(builder), b"TFL3")
        path.write_bytes(bytes(builder.Output()))
