"""Reading a PLC: what was polled becomes a State, and every State becomes a record."""
