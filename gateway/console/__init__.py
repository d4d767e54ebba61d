"""What the console shows: the state of all conferences and queues, folded from the feed.

Knows neither HTTP nor gRPC. Nothing runs while nobody looks.
"""
