"""Every experiment of the thesis, and the two that its title asks for: definitions, runner, results."""
