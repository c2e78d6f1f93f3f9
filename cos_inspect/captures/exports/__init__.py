"""What other proxies save and export: Fiddler, Whistle, Charles."""
