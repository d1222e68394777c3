"""The writer of a log: the sequencer gives records their index, the publisher derives the tiles."""
