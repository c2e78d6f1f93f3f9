"""Saved traffic to exchanges: mitmproxy's own files and HAR, one exchange at a time."""
