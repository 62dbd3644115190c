"""The report as a document that one would print."""
