"""What Curfew does, a file a use case: gather → pure decision → apply, each readable in one screen."""
