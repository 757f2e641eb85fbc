"""The gate's side of the fleet: send finished events and health to a head office, which never commands it."""
