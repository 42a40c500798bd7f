"""What it takes for the network to learn: clips unrolled, losses, lean steps, averaged weights."""
