"""The device end of each wire: one simulated room with a known truth."""
