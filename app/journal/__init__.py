"""The journal: what was intended, what is proven, and where orders go. It decides fencing and duplicates."""
