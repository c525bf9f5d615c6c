"""What the commands do; the command line itself, with its options and help, is in ``ketmap.cli``."""
