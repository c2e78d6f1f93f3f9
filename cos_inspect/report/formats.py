"""The formats of reports, as options and switches name them."""

FORMATS = ("json", "jsonl", "html", "markdown", "junit")
