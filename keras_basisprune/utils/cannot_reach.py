"""The error of a share that can't be reached."""


class CannotReach(ValueError):
    """The requested share can't be reached: too little may be removed."""
