"""Who is stopped: for somebody who is due its place, or because its time is over."""
