"""Is everything in place for a gateway to work? Each module checks one thing, and changes none."""
