"""The auditor: reads everything, writes nothing, and says what is genuine, what was falsified, and where."""
