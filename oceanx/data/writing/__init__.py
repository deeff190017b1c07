"""How stores are written: blocks, chunks and shards, by many hands, and from where somebody was interrupted."""
