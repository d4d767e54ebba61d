"""The faces of the gateway: gRPC and HTTP, and what holds for every call on them."""
