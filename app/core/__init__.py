"""What a bot imports: the router's class, its errors, and the shapes of what it returns."""
