"""What the set-up is made of. Only the standard library, since it runs before anything is installed."""
