"""Training: the objective, the recipe, the loop a person can read, the bank, exact resume."""
