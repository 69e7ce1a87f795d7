"""What models earn where the truth is known, where there is nothing to earn, and on real bars."""
