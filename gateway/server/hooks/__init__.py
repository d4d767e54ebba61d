"""Hooks: what holds for every call, in the order that `rules` declares."""
