"""What is found, sent live to a collector of OpenTelemetry (``cos_otel``)."""
