"""HTTP in and out: who calls, what a body may say, how an answer and a problem look."""
