"""The program without a screen: what lies between a person or the command line and the engine."""
