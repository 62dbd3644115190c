"""One study's chapters: sentences, tables and drawings that hold for each form of the report."""
