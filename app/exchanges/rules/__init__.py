"""What each exchange promises of orders, as data: one file per exchange, each row with its source."""
