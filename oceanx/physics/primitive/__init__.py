"""The primitive equations: the core (`equations`), its configuration, its terms, its surface and its fast waves."""
