"""One file = one estimator. The file's name is the estimator's name; there is no list to edit."""
