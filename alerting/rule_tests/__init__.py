"""For every alert and every SLA of a file: the promtool tests that prove when it fires and when it stays silent."""
