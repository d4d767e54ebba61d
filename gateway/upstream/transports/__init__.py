"""Transports: HTTP libraries behind the one seam, and what is wound around all of them."""
