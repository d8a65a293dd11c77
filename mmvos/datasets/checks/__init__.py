"""What is wrong in a data set, found before a training does; none of it needs torch."""
