"""Compares the protos with those that clients have: what would break one of them is refused."""
