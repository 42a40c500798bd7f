"""What happens when: the timeline with its lanes and thumbnails, the transport, the player."""
