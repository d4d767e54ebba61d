"""The feed part: what the event feed does under load, with clients that check every event."""
