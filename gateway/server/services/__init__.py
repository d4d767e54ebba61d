"""The services: what each RPC does with a `Call`."""
