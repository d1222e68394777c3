"""Anchoring: when a checkpoint goes to the contract, by which transaction, and what is kept of it."""
