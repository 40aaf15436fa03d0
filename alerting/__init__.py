"""From what is measured to what a person is told: alert rules and, in `receiver`, tickets, hand-offs, switches."""
