"""What tests are made of: a loop in a thread, servers on real sockets, signed webhooks."""
