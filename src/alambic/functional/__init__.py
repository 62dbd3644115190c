"""Pure, shape-documented functions, student first: the lowest floor, importing nothing of alambic but errors."""
