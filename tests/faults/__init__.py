"""``make faults``: real processes, real kills, and a check from outside that no accepted job was lost."""
