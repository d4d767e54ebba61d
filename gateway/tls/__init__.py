"""Certificates that addresses are served with: read, checked, and read again when they change."""
