"""What talks to a gateway over gRPC, as any other client would: by the generated stubs."""
