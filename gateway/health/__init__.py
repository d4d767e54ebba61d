"""Whether the gateway works, from its components: one answer for every face that tells of it."""
