"""Takes alerts and hand-offs, opens tickets, operates the switches and proves what it did."""
