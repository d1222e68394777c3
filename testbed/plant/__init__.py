"""Physics: pure, seeded steps (parameters, state, actuators, dt) -> state."""
