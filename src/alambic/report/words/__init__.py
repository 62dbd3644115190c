"""All that is told, in English and French side by side: sentences, headings, names, how numbers are written."""
