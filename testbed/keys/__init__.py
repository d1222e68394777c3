"""Ed25519 keys, signed notes, signed checkpoints, key files. The only home of cryptography."""
