"""Studies: a grid of cells, its ledger, executors, statistics."""
