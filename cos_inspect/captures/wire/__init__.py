"""Packets to exchanges: files of frames, TCP streams, and the HTTP inside of them."""
