"""What stands between a person and the plant: each command is logged before it is sent, and read back after it."""
