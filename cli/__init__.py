"""The command line: translates arguments and errors; nothing imports it."""
