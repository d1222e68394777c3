"""Durable entries and bodies, and files that are replaced whole."""
