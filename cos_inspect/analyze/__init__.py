"""Many captures, worked on side by side, to one set of reports."""
