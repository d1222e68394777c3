"""The digital twin: it follows a log, and what it concludes follows from its inputs alone."""
