"""The alert rules of deploy/prometheus as the Prometheus operator wants them."""
