"""When alerts would have fired: rules rewritten for the past, Prometheus' `for` and `keep_firing_for`, proposals."""
