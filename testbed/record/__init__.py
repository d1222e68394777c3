"""Entries and bodies as bytes: one encoder each, deterministic CBOR. The only home of cbor2."""
