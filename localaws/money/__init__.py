"""What AWS charges: prices, the account's bill, and how Cost Explorer and the price list tell of it."""
