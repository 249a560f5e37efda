"""TensorBoard for the networks that a search tries."""

import os

import keras


def search_boards(callbacks) -> list:
    """Makes a TensorBoard for the trials, for each one that is passed for training.

    Args:
        callbacks: Keras callbacks, of which only `keras.callbacks.TensorBoard` count.

    Returns:
        A list of callbacks whose `on_epoch_end(trial, logs)` writes scalars to the
        folder `search` in that of the given one, and whose `on_train_end()` closes it.
    """
    boards, inputs = [], keras.Input((1,))
    stands_in = keras.Model(inputs, inputs)
    stands_in.optimizer = None  # it asks for the learning rate
    for board in callbacks:
        if isinstance(board, keras.callbacks.TensorBoard):
            folder = os.path.join(board.log_dir, "search")
            boards.append(keras.callbacks.TensorBoard(folder, write_graph=False))
            boards[-1].set_model(stands_in)
    return boards
