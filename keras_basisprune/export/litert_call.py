"""Prepares a `.tflite` file to be run repeatedly, to measure its time."""


def litert_call(content, threads, fill):
    """Returns a function that runs a file once on the LiteRT interpreter.

    Args:
        content: The bytes of the file.
        threads: Number of threads to run it with.
        fill: `fill(details)` returns the array for an input, given the interpreter's
            description of it. Inputs are set once, beforehand.

    Returns:
        A function without arguments. It has been called once.
    """
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_content=content, num_threads=threads)
    interpreter.allocate_tensors()
    for details in interpreter.get_input_details():
        interpreter.set_tensor(details["index"], fill(details))
    interpreter.invoke()
    return interpreter.invoke
