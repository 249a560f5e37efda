"""For tools that ask for a setup.py; what they want to know is in pyproject.toml."""

from setuptools import setup

setup()
