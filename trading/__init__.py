"""What a market does to an order. No learning, no files, no clocks."""
