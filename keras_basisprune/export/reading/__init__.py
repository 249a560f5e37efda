"""What `.tflite` files say of themselves."""
