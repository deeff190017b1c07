"""How files of each format are read: a file as seen from outside is a `part.Part`, whatever it is on disk."""
