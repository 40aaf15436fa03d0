"""The message that Alertmanager wrote to Slack about an incident, found again and linked to from the ticket."""
