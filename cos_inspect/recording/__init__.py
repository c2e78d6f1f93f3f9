"""From bytes to facts: heads of messages, bodies as they pass."""
