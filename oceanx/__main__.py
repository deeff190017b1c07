"""`python -m oceanx`, which is what `torchrun -m oceanx train …` runs."""

from oceanx.cli import main

main()
