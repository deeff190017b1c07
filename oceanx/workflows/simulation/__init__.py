"""The physics as a user meets it: Datasets in, Datasets out. `ox.physics.simulate`, `.tendencies`, `.sensitivity`."""
