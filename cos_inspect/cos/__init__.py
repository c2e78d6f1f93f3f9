"""What COS means by its hosts, paths, headers, ids and bodies: pure functions over an exchange."""
