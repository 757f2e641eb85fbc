"""The kinds of values that settings take, for the settings of the file, of partners and of readers alike."""
