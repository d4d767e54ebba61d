"""The state of a conference, folded from its events, commands, and what the provider says.

Knows no RPC: whoever shows the state to somebody brings the feed and the provider (`ports`).
"""
