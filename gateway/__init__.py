"""A gRPC gateway for Telnyx voice conferencing."""
