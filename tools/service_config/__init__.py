"""Makes gRPC service configs for clients, of what the protos say of each RPC."""
