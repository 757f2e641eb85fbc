"""Head office: takes in the events of all gates, and keeps the certificates of the fleet."""
