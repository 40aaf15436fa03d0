"""Injects failures and verifies that the whole line answers: alert, message, ticket, fallback, switch-off."""
