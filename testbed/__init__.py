"""Attestbed: a hardware-in-the-loop testbed whose digital twin can be held to account."""

__version__ = "0.1.0"
