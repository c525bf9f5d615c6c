"""The laws that representations and models keep, as functions anyone can import."""
