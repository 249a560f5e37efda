"""Reads the contents of `.tflite` files."""
