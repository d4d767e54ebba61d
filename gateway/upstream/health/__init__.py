"""The provider's health: whether commands get through, by every request's end and by probes."""
