"""What the internet, the mesh, the provider and the host do to a gateway, beside honest users.

The gateway runs as its users start it, in a process of its own, and so do the attackers. A canary
makes honest calls all the while; what is judged is what became of these, of the gateway's memory
and descriptors, and of its log.
"""
