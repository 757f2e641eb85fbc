"""What a partner is asked, what its answer means, and the one client that asks."""
