"""Measures the peak memory of this process."""

import pathlib
import resource
import threading


class PeakMemory:
    """Measures the peak memory of this process while its block runs.

    Attributes:
        bytes: The peak.
    """

    def __enter__(self):
        self.bytes = resident()
        self._highest = _ever()
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._done.set()
        self._thread.join()
        if _ever() > self._highest:  # exact if the block set the process' record
            self.bytes = _ever()

    def _watch(self):
        while not self._done.wait(0.005):
            self.bytes = max(self.bytes, resident())


def resident() -> int:
    """Returns the bytes of memory that this process holds now."""
    pages = pathlib.Path("/proc/self/statm").read_text().split()[1]
    return int(pages) * resource.getpagesize()


def _ever():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
