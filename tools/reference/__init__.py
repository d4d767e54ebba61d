"""The reference of the API in `docs/reference.md` and `docs/reference/`, made of the protos."""
