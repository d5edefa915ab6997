"""What a user would pick instead, all behind the policy interface (see methods.py for the names)."""
