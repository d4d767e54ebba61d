"""The gRPC face: services, their handlers, and what holds for all of them."""
