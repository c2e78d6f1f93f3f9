"""The formats of reports, as options and switches name them."""

FORMATS = ("json", "jsonl", "html", "markdown", "junit")
GITHUB = "github"
"""Of ``analyze`` alone: annotations on standard output, and the summary of the step."""
