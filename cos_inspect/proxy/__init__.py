"""All that knows mitmproxy: options, hooks, taps on bodies, marks and comments."""
