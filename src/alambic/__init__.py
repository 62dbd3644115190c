"""alambic: distil big networks of any architecture into tiny convolutional ones."""
