"""From a trained student to the artefact on a chip: export, int8, memory, targets, chips."""
