"""One reader per kind of source, and the steps between reading and training.

A reader, `read_<kind>`, returns `(splits, decode, class_names, description)`:

- `splits`: dict with `"train"` and, where the source has them, `"validation"` and
  `"test"`; each value is `(items, labels)` of equal length. Items are small, such as
  paths or encoded bytes, so that only the chosen images are decoded.
- `decode(item)`: the image as a uint8 or float32 array in [0, 255], of shape
  `(height, width)` or `(height, width, channels)`. It raises `OSError`
  for an item that is unreadable.
- `class_names`: tuple of str, or `None` if the source has no names.
- `description`: what the source is, and its licence if one is stated.
"""
