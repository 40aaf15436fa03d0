"""Runs the parts of Handrail as processes of this machine: finds the tools, renders, starts, watches and stops."""
