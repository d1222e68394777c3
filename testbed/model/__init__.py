"""The twin's models: pure files, frozen by version and named by the hash of their source. Never the plant's code."""
