"""Reads the sources, counts every call exactly once and serves the counts to Prometheus."""
