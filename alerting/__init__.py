"""From what is measured to what a person is told: the alert rules and, in `receiver`, tickets, hand-offs and switches."""
