"""The chaos suite: gateways that are replicas, over real NATS servers, while things break.

`faults` are what breaks, as values, and `author` draws a schedule of them from a seed. `stage` has
the servers, the gateways and the ways between them; `senders` post as the provider does, and
`travellers` follow the feed from one gateway to the next. An `episode` plays one schedule, and the
guarantees of `tests/oracle` judge what everybody saw.
"""
