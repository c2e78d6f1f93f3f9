"""Inspects Tencent Cloud Object Storage (COS) traffic that passes through mitmproxy."""

__version__ = "0.1.0"
