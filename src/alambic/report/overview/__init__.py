"""The answer over all studies that a repository keeps, as a document and a talk."""
