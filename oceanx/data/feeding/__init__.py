"""How stores are read for training: which bytes a lazy variable stands for, and those bytes decoded by threads."""
