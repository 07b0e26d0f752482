"""What runs on every GPU node: tells what devices there are, how they are and who uses them."""
