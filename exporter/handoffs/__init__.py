"""The exporter hands over what executions show: kept with the call that shows it, sent until the receiver has it."""
