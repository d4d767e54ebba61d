"""Metrics and logs: other rooms hand over records, only this one knows Prometheus."""
