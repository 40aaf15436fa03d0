"""The simulated world: small stateful servers that speak the real wire format of n8n, Cloudflare, Jira and Slack.

The drill runs them as one process; the tests use the same objects as their fakes, in process or over a socket.
"""
