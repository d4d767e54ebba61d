"""What attackers do, by where they come from. They run in processes of their own."""
