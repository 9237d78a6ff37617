"""What each exchange's own codes mean for an order, one table of data an exchange, each row with its source."""
