"""The HTTP face: the address for webhooks, and what operators look at."""
