"""Two programs to copy: `speak` sends a command, `follow` follows the feed for ever."""
