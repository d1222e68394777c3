"""Falsifications: what somebody with a disk, a key or a node can do to a bench, done from outside, on its files."""
