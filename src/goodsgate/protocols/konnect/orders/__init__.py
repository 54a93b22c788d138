"""Orders and returns: one state machine for a shipment, and the operations that move it; read `states` first."""
