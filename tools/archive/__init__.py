"""Makes the archive of the protos, for those who need no more of this repository."""
