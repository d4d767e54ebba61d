"""Who calls: what is known of a caller, what it may do, and what it may see."""
