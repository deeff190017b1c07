"""Floor 3: the verbs that join the labelled and the tensor side."""
