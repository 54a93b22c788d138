"""Orders and returns: the state machine of shipments and the operations on it; start with `states`."""
