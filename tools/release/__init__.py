"""Makes what is published of a release: packages, protos, a bill of materials, checksums."""
