"""The console over HTTP: its pages, its stream of state, and the commands that it may send."""
