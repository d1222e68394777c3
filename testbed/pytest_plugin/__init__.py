"""The pytest plugin: a PLC as fixtures, limits that read as a sentence, a machine that is left in its safe state."""
