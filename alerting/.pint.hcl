# pint over what is rendered: make test-checkers. What is switched off has its reason beside it.

parser {
  names = "legacy"

  # These hold rules inside something else: a Kubernetes resource, a namespace of Mimir.
  relaxed = [".*prometheusrules\\.yaml", ".*rules\\.yaml"]
}

checks {
  disabled = [
    # Rules of several groups build on each other on purpose: a group has at most 20 rules, and long windows are looked
    # at once a minute. What must be of one moment stands in one group; elsewhere a record may be one evaluation old.
    "rule/dependency",
  ]
}

rule {
  match {
    kind = "alerting"
    name = "HandrailWatchdog"
  }
  # It always fires: whoever no longer hears it knows that alerting is broken.
  disable = ["alerts/comparison"]
}

rule {
  match {
    kind = "alerting"
    name = "AgentLowConfidence"
  }
  # Both sides of the ratio are of one scrape of one target, the exporter: after a restart of Prometheus neither side can
  # be there without the other.
  disable = ["promql/fragile"]
}

rule {
  match {
    kind = "alerting"
    name = "AgentWorkflowChanged"
  }
  # The same series on both sides.
  disable = ["promql/fragile"]
}

rule {
  match {
    kind = "alerting"
  }
  label "severity" {
    severity = "bug"
    value    = "(critical|warning|info)"
    required = true
  }
  annotation "summary" {
    severity = "bug"
    value    = "[A-Z][^{}]+[.]"
    required = true
  }
  annotation "description" {
    severity = "bug"
    required = true
  }
  annotation "runbook_url" {
    severity = "bug"
    value    = "https?://.+/runbook/.+"
    required = true
  }
  annotation "dashboard_url" {
    severity = "bug"
    value    = "https?://.+"
    required = true
  }
}
