"""What is changed inside moto: its backends handed over to the world, and its slow parts made quick."""
