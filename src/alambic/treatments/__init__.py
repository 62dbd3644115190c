"""Modifiers of logit losses and treatments around the loss: one file each."""
