"""A witness: cosigns what it has seen to grow, keeps a copy of its hashes, and keeps what it refused."""
