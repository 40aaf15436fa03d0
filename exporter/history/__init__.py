"""Reads what ended before counting began, and writes it as the counters would have stood; the ledger is only read."""
