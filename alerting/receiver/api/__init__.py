"""The paths for programs, one file per concern; `web.py` beside puts them together."""
