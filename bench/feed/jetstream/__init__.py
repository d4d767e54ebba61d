"""The feed with its log in NATS JetStream, beside the one in a file."""
