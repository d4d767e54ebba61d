"""Tells what a newer SDK of the provider has that `gateway/sandbox/api.json` or the protos lack."""
