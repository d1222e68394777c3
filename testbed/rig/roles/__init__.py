"""The roles of a bench, each put together from the rooms below: one module a role, which imports what it needs only."""
